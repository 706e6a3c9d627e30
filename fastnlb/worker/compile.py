"""From an Offer to the flat tuples the Engine takes, and the TLS contexts they point to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

from fastnlb.model import (
    CaCertificate,
    Certificate,
    Front,
    Listener,
    Offer,
    SecurityPolicy,
    Server,
    ServerGroup,
    ServerKey,
)
from fastnlb.tls import alpn
from fastnlb.tls.algorithms import algorithms
from fastnlb.tls.binding import context_address
from fastnlb.tls.contexts import Security
from fastnlb.tls.policies import SYSTEM
from fastnlb.worker import proxy
from fastnlb.worker.contexts import Contexts, Inner, session_id
from fastnlb.worker.identities import choose

if TYPE_CHECKING:
    from fastnlb._core.engine import GroupFields, Leaves, ListenerFields, Staples, TlsFields


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `Engine.prepare` takes, once `Contexts.configure` has had the fronts.

    `holds` must outlive the generation; `numbers` go to the counter page with it.
    """

    listeners: list[tuple[str, ListenerFields]]
    groups: list[GroupFields]
    fronts: list[tuple[str, Front, Security]]
    holds: list[object]
    numbers: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Names:
    """The parts of a Snapshot that listeners refer to."""

    groups: Mapping[str, int]
    certificates: Mapping[str, Certificate]
    authorities: Mapping[str, CaCertificate]
    policies: Mapping[str, SecurityPolicy]


def compile_offer(offer: Offer, contexts: Contexts) -> Compiled:
    """Changes nothing that connections use: for any one thread.

    Raises fastnlb.tls.contexts.ContextError when the TLS library refuses a certificate, authority or policy.
    """
    snapshot = offer.snapshot
    names = _Names(
        {group.name: index for index, group in enumerate(snapshot.server_groups)},
        {certificate.name: certificate for certificate in snapshot.certificates},
        {authority.name: authority for authority in snapshot.ca_certificates},
        {**SYSTEM, **{policy.name: policy for policy in snapshot.security_policies}},
    )
    fronts: list[tuple[str, Front, Security]] = []
    holds: list[object] = []
    listeners: list[tuple[str, ListenerFields]] = []
    served: dict[str, Certificate] = {}
    for listener in snapshot.active_listeners():
        tls = None
        if listener.terminates_tls:
            security = contexts.intern(_security(listener, names))
            fronts.append((listener.name, offer.fronts[listener.name], security))
            tls = _tls_fields(listener, names, fronts[-1], contexts, holds)
            served.update((name, names.certificates[name]) for name in _certificate_names(listener))
        cell = offer.cells.listeners.get(listener.name, -1)
        listeners.append((listener.name, _listener_fields(listener, names, tls, cell)))
    groups = [_group_fields(group, offer.cells.servers) for group in snapshot.server_groups]
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
        proxy.fields(listener),
    )


def _tls_fields(
    listener: Listener,
    names: _Names,
    front: tuple[str, Front, Security],
    contexts: Contexts,
    holds: list[object],
) -> TlsFields:
    context, security = contexts.front(*front), front[-1]
    chosen = choose(*(names.certificates[name] for name in _certificate_names(listener)))
    identities = [(each, contexts.inner(each, security)) for each in chosen.sets]
    holds.append(context)
    holds.extend(inner for _, inner in identities)
    return (
        context_address(context),
        session_id(*front),
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


def _group_fields(group: ServerGroup, cells: Mapping[ServerKey, int]) -> GroupFields:
    """A server of weight 0 takes no new connections, so the core does not learn of it."""
    servers = [server for server in group.servers if server.weight > 0]
    sequence = list(range(len(servers))) if group.scheduler == "rr" else smooth_sequence(servers)
    return [
        (server.address, server.port, cells.get((group.name, server.address, server.port), -1)) for server in servers
    ], sequence


def smooth_sequence(servers: list[Server]) -> list[int]:
    """The order in which smooth weighted round robin picks, one whole period of it.

    Each pick raises every server by its weight, takes the highest and lowers it by the sum; so a server of weight
    5 beside two of weight 1 is picked a a b a c a a and never seven times in a row.  Weights are divided by their
    common divisor first.  Length: the sum of the weights, at most 100 per server.
    """
    if not servers:
        return []
    divisor = gcd(*(server.weight for server in servers))
    weights = [server.weight // divisor for server in servers]
    if max(weights) == 1:
        return list(range(len(servers)))
    total = sum(weights)
    current = [0] * len(servers)
    sequence = []
    for _ in range(total):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        best = max(range(len(servers)), key=lambda index: current[index])
        current[best] -= total
        sequence.append(best)
    return sequence
