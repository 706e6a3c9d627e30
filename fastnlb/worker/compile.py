"""From an Offer to the flat tuples the Engine takes, and the TLS contexts they point to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastnlb.model import (
    CaCertificate,
    Certificate,
    Listener,
    Offer,
    SecurityPolicy,
    ServerGroup,
    ServerKey,
    SocketKey,
)
from fastnlb.tls import alpn
from fastnlb.tls.algorithms import algorithms
from fastnlb.tls.binding import context_address
from fastnlb.tls.contexts import Security
from fastnlb.tls.policies import SYSTEM
from fastnlb.worker import proxy
from fastnlb.worker.contexts import Contexts, Inner, TakenFront, session_id
from fastnlb.worker.identities import choose
from fastnlb.worker.orders import SCHEDULERS, Orders

if TYPE_CHECKING:
    from fastnlb._core.engine import GroupFields, Leaves, ListenerFields, Staples, TlsFields


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `Engine.prepare` takes, once `Contexts.configure` has had the fronts.

    `holds` must outlive the generation; `numbers` go to the counter page with it.
    """

    listeners: list[tuple[list[SocketKey], ListenerFields]]
    groups: list[GroupFields]
    fronts: list[TakenFront]
    holds: list[object]
    numbers: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Names:
    """The parts of a Snapshot that listeners refer to."""

    groups: Mapping[str, int]
    certificates: Mapping[str, Certificate]
    authorities: Mapping[str, CaCertificate]
    policies: Mapping[str, SecurityPolicy]


def compile_offer(offer: Offer, contexts: Contexts, orders: Orders | None = None) -> Compiled:
    """`orders` has those of the last time.  Changes nothing that connections use: for any one thread.

    Raises fastnlb.tls.contexts.ContextError when the TLS library refuses a certificate, authority or policy.
    """
    snapshot = offer.snapshot
    names = _Names(
        {group.name: index for index, group in enumerate(snapshot.server_groups)},
        {certificate.name: certificate for certificate in snapshot.certificates},
        {authority.name: authority for authority in snapshot.ca_certificates},
        {**SYSTEM, **{policy.name: policy for policy in snapshot.security_policies}},
    )
    fronts: list[TakenFront] = []
    holds: list[object] = []
    listeners: list[tuple[list[SocketKey], ListenerFields]] = []
    served: dict[str, Certificate] = {}
    for listener in snapshot.active_listeners():
        tls = None
        if listener.terminates_tls:
            security = contexts.intern(_security(listener, names))
            front = offer.fronts[listener.name]
            fronts.append((front, security, session_id(listener.name, front, security)))
            tls = _tls_fields(listener, names, fronts[-1], contexts, holds)
            served.update((name, names.certificates[name]) for name in _certificate_names(listener))
        cell = offer.cells.listeners.get(listener.name, -1)
        listeners.append((offer.socket_keys(listener), _listener_fields(listener, names, tls, cell)))
    orders = orders or Orders()
    groups = [_group_fields(group, offer.cells.servers, orders) for group in snapshot.server_groups]
    orders.turn()
    return Compiled(listeners, groups, fronts, holds, _numbers(served))


def _certificate_names(listener: Listener) -> tuple[str, ...]:
    assert listener.certificate is not None  # noqa: S101  the configuration made sure
    return (listener.certificate, *listener.additional_certificates)


def _listener_fields(listener: Listener, names: _Names, tls: TlsFields | None, cell: int) -> ListenerFields:
    return (
        names.groups[listener.server_group],
        tls,
        listener.handshake_timeout * 1000,
        listener.connect_timeout * 1000,
        listener.idle_timeout * 1000,
        cell,
        listener.cps,
        listener.max_connections,
        listener.name.encode(),
        proxy.fields(listener),
    )


def _tls_fields(
    listener: Listener,
    names: _Names,
    front: TakenFront,
    contexts: Contexts,
    holds: list[object],
) -> TlsFields:
    _, security, session = front
    context = contexts.front(*front)
    chosen = choose(*(names.certificates[name] for name in _certificate_names(listener)))
    identities = [(each, contexts.inner(each, security)) for each in chosen.sets]
    holds.append(context)
    holds.extend(inner for _, inner in identities)
    return (
        context_address(context),
        session,
        security.session_seconds * 1000 if security.verify_mode else 0,
        security.verify_mode,
        security.options,
        listener.strict_sni,
        b"" if listener.alpn_policy is None else alpn.wire_form(listener.alpn_policy),
        listener.alpn_strict,
        [
            (context_address(inner.context), _staples(each, inner), _leaves(listener, each, inner))
            for each, inner in identities
        ],
        [(name.encode("ascii"), number) for name, number in chosen.names],
    )


def _security(listener: Listener, names: _Names) -> Security:
    policy = names.policies[listener.security_policy]
    if listener.ca_certificate is None:
        return Security(policy)
    return Security(policy, names.authorities[listener.ca_certificate], listener.client_certificate)


def _staples(certificates: tuple[Certificate, ...], inner: Inner) -> Staples:
    return [
        (leaf, certificate.staple.der, certificate.staple.until)
        for certificate, leaf in zip(certificates, inner.leaves, strict=True)
        if certificate.staple is not None
    ]


def _leaves(listener: Listener, certificates: tuple[Certificate, ...], inner: Inner) -> Leaves:
    """For the PROXY header, where it says anything of them."""
    if listener.proxy_protocol is None or "ssl" not in listener.proxy_protocol.tlvs:
        return []
    leaves = zip(certificates, inner.leaves, strict=True)
    return [(leaf, *algorithms(certificate.chain_pem)) for certificate, leaf in leaves]


def _numbers(served: Mapping[str, Certificate]) -> dict[str, int]:
    return {
        "certificates": len(served),
        "certificates_first_expiry": min((each.not_after for each in served.values()), default=0),
        "certificates_last_start": max((each.not_before for each in served.values()), default=0),
    }


def _group_fields(group: ServerGroup, cells: Mapping[ServerKey, int], orders: Orders) -> GroupFields:
    """A server of weight 0 takes no new connections, but the core has to know whose the running ones are."""
    servers = sorted(group.servers, key=lambda server: server.weight == 0)
    weighted = tuple(server for server in servers if server.weight > 0)
    return (
        SCHEDULERS[group.scheduler],
        [
            (each.address, each.port, each.weight, cells.get((group.name, each.address, each.port), -1))
            for each in servers
        ],
        orders.of(group.scheduler, weighted),
        -1 if group.connection_drain_timeout is None else group.connection_drain_timeout * 1000,
        group.preserve_client_ip,
    )
