"""Which front each TLS listener has: session tickets live and die with it.

A listener keeps its front, and so its clients their sessions, for as long as what it asks of them is the same.  When
the security policy, the authorities, their CRL or the mode of client authentication changes it takes another, and
an epoch that was never used before: no session crosses from one to the other, nor from a listener to another.

Pure bookkeeping.  `assign` decides nothing; `adopt` does, once all workers have agreed.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastnlb.model import CaCertificate, Front, Listener, SecurityPolicy, Snapshot

Border = tuple[str, SecurityPolicy | None, CaCertificate | None, str]


class Fronts:
    """`size` fronts; when all are taken, a listener gets one without a number."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle = dict.fromkeys(range(size))  # in the order to take them: the longest out of use first
        self._epoch = 0
        self._held: dict[str, tuple[Border, Front]] = {}

    def assign(self, snapshot: Snapshot) -> dict[str, Front]:
        """The front of every TLS listener of `snapshot`, if it were to be served."""
        borders = _borders(snapshot)
        kept = {name: front for name, (border, front) in self._held.items() if borders.get(name) == border}
        numbers = iter(self._idle)
        for name in borders:
            if name not in kept:
                self._epoch += 1
                kept[name] = Front(next(numbers, -1), self._epoch)
        return kept

    def adopt(self, snapshot: Snapshot, fronts: dict[str, Front]) -> None:
        """`snapshot` is served with these fronts from now on."""
        before = [front.number for _, front in self._held.values()]
        borders = _borders(snapshot)
        self._held = {name: (borders[name], front) for name, front in fronts.items()}
        taken = {front.number for front in fronts.values()}
        self._idle = dict.fromkeys(_without(taken, [*self._idle, *before]))


def _without(taken: set[int], numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if number >= 0 and number not in taken]


def _borders(snapshot: Snapshot) -> dict[str, Border]:
    policies = {policy.name: policy for policy in snapshot.security_policies}
    authorities = {authority.name: authority for authority in snapshot.ca_certificates}
    return {
        listener.name: _border(listener, policies, authorities)
        for listener in snapshot.active_listeners()
        if listener.terminates_tls
    }


def _border(listener: Listener, policies: dict[str, SecurityPolicy], authorities: dict[str, CaCertificate]) -> Border:
    name = listener.security_policy
    if listener.ca_certificate is None:
        return name, policies.get(name), None, ""
    return name, policies.get(name), authorities[listener.ca_certificate], listener.client_certificate
