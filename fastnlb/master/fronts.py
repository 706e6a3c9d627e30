"""Which front each TLS listener has: session tickets live and die with it.

A listener keeps its front, and so its clients their sessions, for as long as what it asks of them is the same.  When
the security policy, the authorities, their CRL or the mode of client authentication changes it takes another, and
an epoch that was never used before: no session crosses from one to the other, nor from a listener to another.

A front that is given up rests before another listener may take it: connections accepted before the change may still
be silent, and begin their handshake with it.

A listener that went without for want of one gets it with the next change.

Bookkeeping only.  `assign` decides nothing; `adopt` does, once all workers have agreed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from fastnlb.model import CaCertificate, Front, Listener, SecurityPolicy, Snapshot

Border = tuple[str, SecurityPolicy | None, CaCertificate | None, str, bool]


log = logging.getLogger("fastnlb.master")

REST_SECONDS = 600.0
"""Twice the longest handshake_timeout."""


class Fronts:
    """`size` fronts; when all are taken or at rest, a listener gets one without a number."""

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given_up = dict.fromkeys(range(size), float("-inf"))  # number -> when; the longest ago first
        self._epoch = 0
        self._held: dict[str, tuple[Border, Front]] = {}

    def assign(self, snapshot: Snapshot) -> dict[str, Front]:
        """The front of every TLS listener of `snapshot`, if it were to be served."""
        borders = _borders(snapshot)
        fronts = {name: front for name, (border, front) in self._held.items() if borders.get(name) == border}
        limit = self._clock() - REST_SECONDS
        rested = [number for number, when in self._given_up.items() if when <= limit]
        for name in borders:
            if name not in fronts or (fronts[name].number < 0 and rested):
                self._epoch += 1
                fronts[name] = Front(rested.pop(0) if rested else -1, self._epoch)
        return fronts

    def adopt(self, snapshot: Snapshot, fronts: dict[str, Front]) -> None:
        """`snapshot` is served with these fronts from now on."""
        borders, now = _borders(snapshot), self._clock()
        before = {front.number for _, front in self._held.values()}
        taken = {front.number for front in fronts.values()}
        for number in taken:
            self._given_up.pop(number, None)
        self._given_up.update((number, now) for number in sorted(before - taken) if number >= 0)
        self._held = {name: (borders[name], front) for name, front in fronts.items()}
        lacking = sum(front.number < 0 for front in fronts.values())
        if lacking:
            log.warning("%d TLS listeners have no ticket keys in common: sessions resume in one worker only", lacking)


def _borders(snapshot: Snapshot) -> dict[str, Border]:
    policies = {policy.name: policy for policy in snapshot.security_policies}
    authorities = {authority.name: authority for authority in snapshot.ca_certificates}
    return {
        listener.name: _border(listener, policies, authorities)
        for listener in snapshot.active_listeners()
        if listener.terminates_tls
    }


def _border(listener: Listener, policies: dict[str, SecurityPolicy], authorities: dict[str, CaCertificate]) -> Border:
    authority = authorities[listener.ca_certificate] if listener.ca_certificate is not None else None
    mode = listener.client_certificate if authority is not None else ""
    name = listener.security_policy
    return name, policies.get(name), authority, mode, listener.strict_sni
