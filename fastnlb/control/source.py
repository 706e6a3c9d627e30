"""The configuration file as the control process's loop sees it: what of Reloads is due, and when.

Files are looked at in an interval; a loader that is behind what is in force is asked to read again, more and more
rarely.  A daemon without a file has a NoSource in its place: all that can change there is what host names stand for.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Protocol

from fastnlb.config.load import Loaded
from fastnlb.control.names import NEVER
from fastnlb.control.proposals import Outlet, Proposals
from fastnlb.control.reload import Loader, OnReading, OnReloaded, Reloads
from fastnlb.control.watch import Watch
from fastnlb.model import Snapshot

FIRST_RETRY = 1.0  # seconds, doubled up to the longest
LONGEST_RETRY = 60.0
NOTHING_TO_RELOAD = "nothing to reload: started without a configuration file"

log = logging.getLogger("fastnlb.control")


@dataclass(frozen=True, slots=True)
class Start:
    """A loader, and what it read for the start of the daemon."""

    loader: Loader
    accepted: Loaded


class Origin(Protocol):
    """Where Snapshots come from, as the loop sees it.  `accepted`: what was read and is served; None: as in Reloads,
    or there is no file.
    """

    @property
    def accepted(self) -> Loaded | None: ...

    def on_current(self, generation: int, snapshot: Snapshot) -> None: ...

    def on_reload(self, whole: bool) -> None: ...

    def on_outcome(self, serial: int, accepted: bool, message: str) -> None: ...

    def turn(self) -> None:
        """Does what is due, which may take as long as reading does.  Raises ChannelClosed."""
        ...

    def next_due(self) -> float:
        """When `turn` has something to do next, on the monotonic clock."""
        ...


def origin(
    start: Start | None, outlet: Outlet, proposals: Proposals, on_reading: OnReading, on_reloaded: OnReloaded
) -> Origin:
    if start is None:
        return NoSource(outlet, proposals, on_reading, on_reloaded)
    return Source(start, outlet, proposals, on_reading, on_reloaded)


class NoSource:
    """Nothing can be read again; whoever asks is told."""

    accepted = None

    def __init__(self, outlet: Outlet, proposals: Proposals, on_reading: OnReading, on_reloaded: OnReloaded) -> None:
        self._outlet = outlet
        self._proposals = proposals
        self._on_reading = on_reading
        self._on_reloaded = on_reloaded

    def on_current(self, generation: int, snapshot: Snapshot) -> None:
        self._proposals.on_current(snapshot)

    def on_reload(self, whole: bool) -> None:
        log.warning(NOTHING_TO_RELOAD)
        self._on_reading()
        self._outlet.send("reloaded")
        self._on_reloaded(False, [NOTHING_TO_RELOAD], False)

    def on_outcome(self, serial: int, accepted: bool, message: str) -> None:
        self._proposals.on_outcome(serial, accepted)

    def turn(self) -> None:
        self._proposals.turn()

    def next_due(self) -> float:
        return self._proposals.next_due()


class Source:
    """Reloads, with the times that are its business."""

    def __init__(
        self, start: Start, outlet: Outlet, proposals: Proposals, on_reading: OnReading, on_reloaded: OnReloaded
    ) -> None:
        self._proposals = proposals
        self._reloads = Reloads(
            start.loader, start.accepted, outlet, proposals, on_reading=on_reading, on_reloaded=on_reloaded
        )
        self._watched = self._reloads.paths
        self._watch = Watch(self._watched)
        self._next_retry: float | None = None
        self._retry_delay = FIRST_RETRY
        self._plan_look()

    @property
    def accepted(self) -> Loaded | None:
        return self._reloads.accepted

    def on_current(self, generation: int, snapshot: Snapshot) -> None:
        self._reloads.on_current(generation, snapshot)

    def on_reload(self, whole: bool) -> None:
        self._reloads.on_reload(whole)

    def on_outcome(self, serial: int, accepted: bool, message: str) -> None:
        self._reloads.on_outcome(serial, accepted, message)

    def turn(self) -> None:
        self._proposals.turn()
        self._look()
        self._retry()
        self._reloads.turn()
        self._follow()

    def next_due(self) -> float:
        next_look = NEVER if self._watch.interval is None else self._next_look
        next_retry = NEVER if self._next_retry is None else self._next_retry
        return min(next_look, next_retry, self._reloads.next_due(), self._proposals.next_due())

    def _look(self) -> None:
        if self._watch.interval is None or time.monotonic() < self._next_look:
            return
        if self._watch.settled():
            self._reloads.on_refresh()
        self._plan_look()

    def _retry(self) -> None:
        """A stale loader does not know all the files whose change would be a reason to try again."""
        if not self._reloads.stale:
            self._next_retry, self._retry_delay = None, FIRST_RETRY
            return
        now = time.monotonic()
        if self._next_retry is not None and now < self._next_retry:
            return
        if self._next_retry is not None:
            self._reloads.on_refresh()
        self._next_retry = now + self._retry_delay
        self._retry_delay = min(2 * self._retry_delay, LONGEST_RETRY)

    def _plan_look(self) -> None:
        self._next_look = time.monotonic() + (self._watch.interval or 0.0)

    def _follow(self) -> None:
        if self._reloads.paths is not self._watched:
            self._watched = self._reloads.paths
            self._watch.follow(self._watched)
            self._plan_look()
            if self._watched:
                # What was changed after it had been read and before this look at it would never show.
                self._reloads.on_refresh()
                self._reloads.turn()
