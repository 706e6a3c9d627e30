"""Proposals to the master, one at a time, and what is in force between them.

Whoever proposes has the servers in it that its host names stand for now; when that changes by itself, the state in
force is proposed with nothing else changed.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from fastnlb.channel import encode_snapshot, payload_descriptor
from fastnlb.config.plan import plan
from fastnlb.control.names import NEVER, Names
from fastnlb.control.naming import with_addresses
from fastnlb.model import Snapshot

REFUSED_SECONDS = 10.0  # until addresses that were refused are proposed again

log = logging.getLogger("fastnlb.control")


class Outlet(Protocol):
    """The sending half of a Channel."""

    def send(self, kind: str, fds: Iterable[int] = (), **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """`reload`: somebody waits for `reloaded`."""

    serial: int
    snapshot: Snapshot
    reload: bool


class Proposals:
    """The one under way, if any.  `in_force` is None until the master has said it."""

    def __init__(self, outlet: Outlet, names: Names, clock: Callable[[], float] = time.monotonic) -> None:
        self._outlet = outlet
        self._names = names
        self._clock = clock
        self._under_way: Proposal | None = None
        self._expected: Snapshot | None = None
        self._unsure = False  # whether what is in force has the addresses that are known here
        self._last_serial = 0
        self._next_try = NEVER
        self.in_force: Snapshot | None = None

    @property
    def waiting(self) -> bool:
        """Whether the master has not answered yet: nothing can be proposed."""
        return self._under_way is not None

    # Events

    def on_current(self, snapshot: Snapshot) -> None:
        self.in_force = snapshot
        self._unsure = True  # a proposal of a predecessor may have been older
        self._follow()

    def on_outcome(self, serial: int, accepted: bool) -> Proposal | None:
        """The proposal that has ended, which may be none of ours.  The master logs how."""
        ended = self._under_way
        if ended is None or ended.serial != serial:
            return None
        self._under_way = None
        if accepted:
            self.in_force = ended.snapshot
        elif not ended.reload:
            self._next_try = self._clock() + REFUSED_SECONDS
        self._follow()
        return ended

    # Names

    def expect(self, wanted: Snapshot | None) -> None:
        """Has the names of `wanted`, which is soon to be proposed, looked up; None: nothing is, any more."""
        self._expected = wanted
        self._follow()

    def settled(self, wanted: Snapshot) -> bool:
        """Whether all is known of the names of `wanted` that will be known for now."""
        return self._names.settled(wanted)

    def completed(self, wanted: Snapshot) -> Snapshot:
        """`wanted` with the servers that its names stand for."""
        return with_addresses(wanted, self._names.addresses())

    def turn(self) -> None:
        """Lets names be looked up, and proposes what has changed by itself.  Raises ChannelClosed."""
        self._names.turn()
        if self.in_force is None or self.waiting:
            return
        if not self._names.news and not self._unsure and self._clock() < self._next_try:
            return
        self._names.news, self._unsure, self._next_try = False, False, NEVER
        wanted = self.completed(self.in_force)
        if wanted != self.in_force:
            self.propose(wanted, reload=False)

    def next_due(self) -> float:
        """When `turn` has something to do next, on the clock."""
        return min(self._names.next_due(), NEVER if self.waiting else self._next_try)

    # Proposing

    def propose(self, wanted: Snapshot, *, reload: bool) -> list[str]:
        """The change in lines for a person.  To be called when none is under way.  Raises ChannelClosed."""
        assert self.in_force is not None and not self.waiting, "one at a time"  # noqa: S101
        lines = _plan_lines(self.in_force, wanted)
        for line in lines:
            log.info("%s", line)
        self._last_serial += 1
        payload = payload_descriptor(encode_snapshot(wanted))
        try:
            self._outlet.send("propose", [payload], serial=self._last_serial)
        finally:
            os.close(payload)
        self._under_way = Proposal(self._last_serial, wanted, reload)
        self._follow()
        return lines

    def _follow(self) -> None:
        under_way = None if self._under_way is None else self._under_way.snapshot
        if self.in_force is not None:
            self._names.follow(self.in_force, *filter(None, (under_way, self._expected)))


def _plan_lines(old: Snapshot, new: Snapshot) -> list[str]:
    """A change that cannot be put into words is still one that was asked for."""
    try:
        return plan(old, new).describe()
    except Exception as error:
        log.warning("cannot describe the change: %s: %s", type(error).__name__, error)
        return []
