"""The difference between two Snapshots, as data: what to add, change and remove, and which sockets that means.

Pure: nothing is read, opened or changed.  Things are told apart by name, so a new name is a removal and an addition;
the order of kinds means nothing, the order of the servers in a group does.  Certificates differ without a word of
their contents: a plan may be printed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeVar

from fastnlb.model import (
    CaCertificate,
    Certificate,
    HealthCheck,
    Listener,
    NamedServer,
    ProxyProtocol,
    Resolver,
    SecurityPolicy,
    Server,
    ServerGroup,
    Snapshot,
    place,
)
from fastnlb.tls.policies import SYSTEM

SocketKey = tuple[str, str, int, int]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


@dataclass(frozen=True, slots=True)
class Change:
    """A thing that both sides have: the fields that differ, and the difference in words."""

    name: str
    fields: tuple[str, ...]
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KindPlan:
    """What becomes of the things of one kind.  `noun` is how a line calls one; additions are with their label."""

    noun: str
    added: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    removed: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.changed or self.removed)

    def describe(self) -> Iterator[str]:
        for label in self.labels:
            yield f"+ {self.noun} {label}"
        for change in self.changed:
            yield f"~ {self.noun} {change.name}: {', '.join(change.details)}"
        for name in self.removed:
            yield f"- {self.noun} {name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """From one Snapshot to the next.  Socket keys are (listener name, address, port, last port): a listener that
    moves is in both sets, one that keeps its key in neither, and a disabled one has no socket.
    """

    certificates: KindPlan
    ca_certificates: KindPlan
    security_policies: KindPlan
    server_groups: KindPlan
    listeners: KindPlan
    listeners_to_open: frozenset[SocketKey] = frozenset()
    listeners_to_close: frozenset[SocketKey] = frozenset()
    resolver: tuple[str, ...] = ()
    access_log: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[KindPlan, ...]:
        """In the order in which one may refer to another: what a listener names comes before it."""
        return self.certificates, self.ca_certificates, self.security_policies, self.server_groups, self.listeners

    @property
    def empty(self) -> bool:
        return all(kind.empty for kind in self.kinds) and not self.resolver and not self.access_log

    def describe(self) -> list[str]:
        """One line for each thing, for a person; none when the plan is empty.

        System policies come and go with the listeners that use them: that is nothing anybody has changed.
        """
        named = replace(
            self.security_policies,
            labels=tuple(each for each in self.security_policies.labels if each not in SYSTEM),
            removed=tuple(each for each in self.security_policies.removed if each not in SYSTEM),
        )
        kinds = (named if kind is self.security_policies else kind for kind in self.kinds)
        lines = [line for kind in kinds for line in kind.describe()]
        others = (("resolver", self.resolver), ("access log", self.access_log))
        return [*lines, *(f"~ {what}: {', '.join(details)}" for what, details in others if details)]


def plan(old: Snapshot, new: Snapshot) -> Plan:
    """What leads from `old` to `new`."""
    before, after = _sockets(old), _sockets(new)
    return Plan(
        certificates=_kind("certificate", old.certificates, new.certificates, _detail_certificate, _name),
        ca_certificates=_kind("CA certificate", old.ca_certificates, new.ca_certificates, _detail_authority, _name),
        security_policies=_kind("security policy", old.security_policies, new.security_policies, _detail, _name),
        server_groups=_kind("server group", old.server_groups, new.server_groups, _detail_group, _label_group),
        listeners=_kind("listener", old.listeners, new.listeners, _detail_listener, _label_listener),
        listeners_to_open=after - before,
        listeners_to_close=before - after,
        resolver=tuple(_detail_resolver(old.resolver, new.resolver)),
        access_log=tuple(_detail_access_log(old.access_log, new.access_log)),
    )


def _sockets(snapshot: Snapshot) -> frozenset[SocketKey]:
    return frozenset((each.name, each.address, each.port, each.last_port) for each in snapshot.active_listeners())


def _kind(
    noun: str,
    old: Sequence[T],
    new: Sequence[T],
    detail: Callable[[str, T, T], Iterator[str]],
    label: Callable[[T], str],
) -> KindPlan:
    before, after = {each.name: each for each in old}, {each.name: each for each in new}
    added = [name for name in after if name not in before]
    return KindPlan(
        noun,
        added=tuple(added),
        changed=tuple(
            _change(before[name], after[name], detail)
            for name in after
            if name in before and before[name] != after[name]
        ),
        removed=tuple(name for name in before if name not in after),
        labels=tuple(label(after[name]) for name in added),
    )


def _change(old: T, new: T, detail: Callable[[str, T, T], Iterator[str]]) -> Change:
    differing = tuple(name for name in _field_names(old) if getattr(old, name) != getattr(new, name))
    return Change(new.name, differing, tuple(line for name in differing for line in detail(name, old, new)))


def _field_names(thing: object) -> list[str]:
    if not isinstance(thing, Certificate | CaCertificate | SecurityPolicy | ServerGroup | Listener):
        raise TypeError(f"{type(thing).__name__} is no part of a Snapshot")
    return [field.name for field in fields(thing)]


def _name(thing: _Named) -> str:
    return thing.name


def _label_listener(listener: Listener) -> str:
    stopped = "" if listener.enabled else " (disabled)"
    return f"{listener.name} {place(listener.address, listener.port, listener.last_port)}{stopped}"


def _label_group(group: ServerGroup) -> str:
    return f"{group.name} ({len(group.servers)} server{'' if len(group.servers) == 1 else 's'})"


def _detail(field: str, old: object, new: object) -> Iterator[str]:
    yield f"{field} {_show(getattr(old, field))} -> {_show(getattr(new, field))}"


def _detail_listener(field: str, old: Listener, new: Listener) -> Iterator[str]:
    if field not in ("port", "last_port") or not (old.last_port or new.last_port):
        yield from _detail(field, old, new)
    elif field == "last_port" or old.last_port == new.last_port:  # both at once are one line
        yield f"port {_ports(old)} -> {_ports(new)}"


def _detail_certificate(field: str, old: Certificate, new: Certificate) -> Iterator[str]:
    if field == "chain_pem":
        yield "new chain"
    elif field == "key_pem":
        yield "new private key"
    elif field == "staple":
        yield "new OCSP response" if new.staple else "OCSP response removed"
    elif old.chain_pem == new.chain_pem:  # the rest is read from the chain
        yield from _detail(field, old, new)


def _detail_authority(field: str, old: CaCertificate, new: CaCertificate) -> Iterator[str]:
    if field == "bundle_pem":
        yield "new authorities"
    elif field == "crl_pem":
        yield "new CRL" if new.crl_pem else "CRL removed"
    else:
        yield from _detail(field, old, new)


def _detail_group(field: str, old: ServerGroup, new: ServerGroup) -> Iterator[str]:
    if field == "servers":
        yield from _detail_servers(old.servers, new.servers)
    elif field == "named_servers":
        yield from _detail_named_servers(old.named_servers, new.named_servers)
    elif field == "health_check":
        yield from _detail_health_check(old.health_check, new.health_check)
    else:
        yield from _detail(field, old, new)


def _detail_health_check(old: HealthCheck | None, new: HealthCheck | None) -> Iterator[str]:
    if old is None or new is None:
        yield "health check off" if new is None else "health check on"
        return
    for field in fields(HealthCheck):
        if getattr(old, field.name) != getattr(new, field.name):
            yield from (f"health check {line}" for line in _detail(field.name, old, new))


def _detail_servers(old: Sequence[Server], new: Sequence[Server]) -> Iterator[str]:
    before, after = _by_endpoint(old), _by_endpoint(new)
    kept = [endpoint for endpoint in after if endpoint in before]
    yield from (
        f"server {endpoint}{_found_by(after[endpoint])} added" for endpoint in after if endpoint not in before
    )
    for endpoint in kept:
        if before[endpoint].weight != after[endpoint].weight:
            yield f"server {endpoint} weight {before[endpoint].weight} -> {after[endpoint].weight}"
    yield from (
        f"server {endpoint}{_found_by(before[endpoint])} removed" for endpoint in before if endpoint not in after
    )
    if kept != [endpoint for endpoint in before if endpoint in after]:
        yield "servers in another order"


def _detail_named_servers(old: Sequence[NamedServer], new: Sequence[NamedServer]) -> Iterator[str]:
    """What a change of them does to servers is said where those are; this is for names that came or went."""
    before, after = ({f"{each.host}:{each.port}": each for each in side} for side in (old, new))
    yield from (f"host name {name} added" for name in after if name not in before)
    for name in after:
        if name in before and before[name].weight != after[name].weight:
            yield f"host name {name} weight {before[name].weight} -> {after[name].weight}"
    yield from (f"host name {name} removed" for name in before if name not in after)


def _detail_resolver(old: Resolver, new: Resolver) -> Iterator[str]:
    if old.nameservers != new.nameservers:
        before, after = (" ".join(place(*each) for each in side.nameservers) or "none" for side in (old, new))
        yield f"nameservers {before} -> {after}"
    for field in ("min_ttl", "max_ttl"):
        if getattr(old, field) != getattr(new, field):
            yield from _detail(field, old, new)


def _detail_access_log(old: str | None, new: str | None) -> Iterator[str]:
    if old != new:
        yield f"{_show(old)} -> {_show(new)}"


def _by_endpoint(servers: Sequence[Server]) -> dict[str, Server]:
    return {place(server.address, server.port): server for server in servers}


def _ports(listener: Listener) -> str:
    return f"{listener.port}-{listener.last_port}" if listener.last_port else str(listener.port)


def _found_by(server: Server) -> str:
    return f" ({server.host})" if server.host else ""


def _show(value: object) -> str:
    """A field's value as the file would spell it."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ProxyProtocol):
        ids = [f"{key}={held}" for key in ("vpc_id", "ep_id", "eps_id") if (held := getattr(value, key))]
        return f"version 2 [{', '.join([*value.tlvs, *ids])}]"
    if isinstance(value, tuple):
        return "[" + ", ".join("=".join(item) if isinstance(item, tuple) else str(item) for item in value) + "]"
    return str(value)
