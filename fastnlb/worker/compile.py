"""From a Snapshot to the flat tuples the Engine takes, and the TLS contexts they point to.

A context is built once for a certificate under a policy and kept while any generation in use needs it, so a
change parses only what it changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from OpenSSL import SSL

from fastnlb.model import Certificate, Listener, SecurityPolicy, Server, ServerGroup, Snapshot
from fastnlb.tls.binding import context_address
from fastnlb.tls.contexts import server_context
from fastnlb.tls.policies import SYSTEM

ListenerFields = tuple[int, int, int, int, int]
GroupFields = tuple[list[tuple[str, int]], list[int]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `Engine.prepare` takes; `contexts` must outlive the generation."""

    listeners: list[tuple[str, ListenerFields]]
    groups: list[GroupFields]
    contexts: tuple[SSL.Context, ...]


class Contexts:
    """The contexts in use, by what they were built from."""

    def __init__(self) -> None:
        self._built: dict[tuple[Certificate, SecurityPolicy], SSL.Context] = {}
        self._in_use: dict[int, tuple[SSL.Context, ...]] = {}

    def get(self, certificate: Certificate, policy: SecurityPolicy) -> SSL.Context:
        """Raises fastnlb.tls.contexts.ContextError."""
        key = (certificate, policy)
        if key not in self._built:
            self._built[key] = server_context(certificate, policy)
        return self._built[key]

    def hold(self, generation: int, contexts: tuple[SSL.Context, ...]) -> None:
        self._in_use[generation] = contexts

    def keep_only(self, generations: set[int]) -> None:
        """Let go of every context that none of these generations uses."""
        self._in_use = {number: held for number, held in self._in_use.items() if number in generations}
        wanted = {id(context) for held in self._in_use.values() for context in held}
        self._built = {key: context for key, context in self._built.items() if id(context) in wanted}


def compile_snapshot(snapshot: Snapshot, contexts: Contexts) -> Compiled:
    """Raises fastnlb.tls.contexts.ContextError when the TLS library refuses a certificate or a policy."""
    certificates = {certificate.name: certificate for certificate in snapshot.certificates}
    policies = {**SYSTEM, **{policy.name: policy for policy in snapshot.security_policies}}
    group_index = {group.name: index for index, group in enumerate(snapshot.server_groups)}
    held: list[SSL.Context] = []
    listeners = []
    for listener in snapshot.active_listeners():
        address = 0
        if listener.terminates_tls:
            assert listener.certificate is not None  # noqa: S101  the configuration made sure
            context = contexts.get(certificates[listener.certificate], policies[listener.security_policy])
            held.append(context)
            address = context_address(context)
        listeners.append((listener.name, _listener_fields(listener, group_index[listener.server_group], address)))
    return Compiled(listeners, [_group_fields(group) for group in snapshot.server_groups], tuple(held))


def _listener_fields(listener: Listener, group: int, context: int) -> ListenerFields:
    return (
        group,
        context,
        listener.handshake_timeout * 1000,
        listener.connect_timeout * 1000,
        listener.idle_timeout * 1000,
    )


def _group_fields(group: ServerGroup) -> GroupFields:
    """A server of weight 0 takes no new connections, so the core does not learn of it."""
    servers = [server for server in group.servers if server.weight > 0]
    sequence = list(range(len(servers))) if group.scheduler == "rr" else smooth_sequence(servers)
    return [(server.address, server.port) for server in servers], sequence


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
