"""A Rig whose listener comes from the model and is compiled as a worker does it; `change` is what a reload does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastnlb.master.fronts import REST_SECONDS, Fronts
from fastnlb.model import (
    TCPSSL,
    CaCertificate,
    Cells,
    Certificate,
    Listener,
    Offer,
    SecurityPolicy,
    Server,
    ServerGroup,
    Snapshot,
)
from fastnlb.tls.contexts import make_fronts
from fastnlb.tls.material import parse_pair
from fastnlb.worker.compile import Compiled, compile_offer
from fastnlb.worker.contexts import Contexts
from support.certs import Issued
from support.rig import Rig

NAME = "l"
POOL = 4


def certificate(name: str, issued: Issued, staple: Any = None) -> Certificate:
    """The model's certificate, as the configuration would make it from files."""
    return parse_pair(issued.chain_pem, issued.key_pem).certificate(name, staple)


def tls_snapshot(
    servers: Sequence[tuple[str, int]],
    certificates: Sequence[Certificate],
    *,
    authority: CaCertificate | None = None,
    policy: SecurityPolicy | None = None,
    name: str = NAME,
    **listener: Any,
) -> Snapshot:
    """One TLS listener; the first certificate is the default, the others are additional."""
    one = Listener(
        name,
        TCPSSL,
        "127.0.0.1",
        1,
        "g",
        certificate=certificates[0].name,
        additional_certificates=tuple(each.name for each in certificates[1:]),
        ca_certificate=None if authority is None else authority.name,
        **listener,
    )
    if policy is not None:
        one = replace(one, security_policy=policy.name)
    return Snapshot(
        (one,),
        (ServerGroup("g", tuple(Server(*each) for each in servers)),),
        tuple(certificates),
        () if authority is None else (authority,),
        () if policy is None else (policy,),
    )


def _cells(snapshot: Snapshot) -> Cells:
    """Those that a Rig has given."""
    servers = [(group.name, each.address, each.port) for group in snapshot.server_groups for each in group.servers]
    return Cells({key: cell for cell, key in enumerate(servers)}, {snapshot.listeners[0].name: 0})


class TlsRig(Rig):
    """`beside` is another rig, to which this one is as a worker to its sibling: they share ticket keys."""

    def __init__(
        self,
        servers: list[tuple[str, int]],
        certificates: Sequence[Certificate],
        *,
        beside: TlsRig | None = None,
        pool: int = POOL,
        **listener: Any,
    ) -> None:
        self._now = 0.0
        self.pool = beside.pool if beside else make_fronts(pool)
        self.fronts = beside.fronts if beside else Fronts(pool, self._later)
        self._servers = servers
        self._contexts = Contexts(self.pool)
        self._generation = 1
        self._certificates, self._options = certificates, listener
        compiled = self._compile()
        fields = compiled.listeners[0][1]
        super().__init__(servers, tls=fields[1], proxy=fields[-1])

    def _later(self) -> float:
        """A clock on which every change comes long after the one before it."""
        self._now += 2 * REST_SECONDS
        return self._now

    def _compile(self) -> Compiled:
        snapshot = tls_snapshot(self._servers, self._certificates, **self._options)
        fronts = self.fronts.assign(snapshot)
        self.fronts.adopt(snapshot, fronts)
        compiled = compile_offer(Offer(snapshot, fronts, _cells(snapshot)), self._contexts)
        self._contexts.hold(self._generation, compiled.holds)
        self._contexts.configure(compiled.fronts)
        return compiled

    def change(self, certificates: Sequence[Certificate] | None = None, **listener: Any) -> None:
        """Between two turns of the loop; what is not named stays."""
        if certificates is not None:
            self._certificates = certificates
        self._options = {**self._options, **listener}
        with self.paused() as engine:
            self._generation += 1
            compiled = self._compile()
            engine.prepare(self._generation, [([NAME], compiled.listeners[0][1])], compiled.groups, {})
            engine.commit()
            self._contexts.keep_only(engine.generations())
