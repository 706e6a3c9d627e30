"""Health checks: which server is probed when, for all workers; the results go to the shared board.

Each server of a group with a check has one timer: to its next probe, or to the end of what the running probe waits
for.  First probes are spread over the interval, later ones come an interval after the last began, give or take a
tenth.  At most MOST_PROBES run at one time; the rest wait their turn.

Servers that the workers fail to connect to are probed at once.  What this process is late for is never held against a
server: a probe that ends badly after `held_up` is made again.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from fastnlb.board import Health, Reason
from fastnlb.control.loop import Registry
from fastnlb.control.probe import Phase, Probe, Shortage
from fastnlb.control.standing import Standing
from fastnlb.model import HealthCheck, Offer, ServerKey, place

MOST_PROBES = 1000
JITTER = 0.1  # of the interval
TICK = 1 / 16  # seconds; probes begin together at its multiples, which spares most turns of the loop
LOOK_SECONDS = 0.5  # from one look at the workers' failures to the next
SHORTAGE_SECONDS = 1.0  # until it is tried again
NEVER = float("inf")

log = logging.getLogger("fastnlb.control")


class Board(Protocol):
    """What checks need of the shared board."""

    def health(self, cell: int) -> tuple[Health, Reason]: ...

    def set_health(self, cell: int, health: Health, reason: Reason = Reason.NONE) -> None: ...

    def failures(self, cell: int) -> int: ...


class Running(Protocol):
    """What is used of a Probe."""

    phase: Phase

    @property
    def events(self) -> int: ...

    def fileno(self) -> int: ...

    def begin(self) -> Reason | None: ...

    def step(self) -> Reason | None: ...

    def overdue(self) -> Reason: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Target:
    """A server that is checked.  `due`: when its timer goes off, NEVER while it waits in the queue."""

    key: ServerKey
    cell: int
    check: HealthCheck
    standing: Standing
    failures: int = 0  # of the workers, when last looked into
    due: float = NEVER
    next_probe: float = 0.0
    probe: Running | None = None
    excused: bool = False  # this process was late while the probe ran
    host: str = ""  # the name it was found by

    def __str__(self) -> str:
        group, address, port = self.key
        found_by = f" ({self.host})" if self.host else ""
        return f"{place(address, port)}{found_by} of {group}"


class Checks:
    """All of them.  `follow` says what there is to check, `turn` does what is due; `on_probed` hears each verdict
    that counts.
    """

    def __init__(
        self,
        board: Board,
        selector: Registry,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        make_probe: Callable[[HealthCheck, str, int], Running] = Probe,
        on_probed: Callable[[Reason], None] = lambda _verdict: None,
    ) -> None:
        self._board = board
        self._selector = selector
        self._clock = clock
        self._chance = chance
        self._make_probe = make_probe
        self._on_probed = on_probed
        self._targets: dict[ServerKey, _Target] = {}
        self._timers: list[tuple[float, int, _Target]] = []
        self._tick = itertools.count()
        self._queue: deque[_Target] = deque()
        self._running: set[_Target] = set()
        self._next_look = NEVER
        self._short = False

    # What the loop calls

    def follow(self, offer: Offer) -> None:
        """These servers are served from now on.  Who stays keeps state and schedule, unless its check is another."""
        old, self._targets = self._targets, {}
        for group in offer.snapshot.server_groups:
            for server in group.servers:
                key = (group.name, server.address, server.port)
                cell = offer.cells.servers.get(key, -1)
                if cell < 0:
                    continue  # the board is full, which the master has said
                if group.health_check is None:
                    self._board.set_health(cell, Health.UNAVAILABLE)
                    continue
                same = (held := old.get(key)) is not None and (held.cell, held.check) == (cell, group.health_check)
                self._targets[key] = old.pop(key) if same else self._admit(key, cell, group.health_check)
                self._targets[key].host = server.host
        for gone in old.values():
            self._dismiss(gone)
        self._next_look = self._clock() + LOOK_SECONDS if self._targets else NEVER

    def turn(self) -> None:
        """To be called after the events of sockets: what came in time is never timed out."""
        now = self._clock()
        if now >= self._next_look:
            self._look_at_failures(now)
        while self._timers and self._timers[0][0] <= now:
            due, _, target = heapq.heappop(self._timers)
            if target.due == due:
                self._go_off(target, now)
        while self._queue and len(self._running) < MOST_PROBES:
            self._begin(self._queue.popleft(), now)

    def next_due(self) -> float:
        """When `turn` has something to do next, on the clock."""
        while self._timers and self._timers[0][2].due != self._timers[0][0]:
            heapq.heappop(self._timers)
        return min(self._timers[0][0] if self._timers else NEVER, self._next_look)

    def held_up(self) -> None:
        """This process did not look for a while: servers may have given up on us."""
        for target in self._running:
            target.excused = True

    def close(self) -> None:
        for target in list(self._targets.values()):
            self._dismiss(target)
        self._targets.clear()

    # Coming and going

    def _admit(self, key: ServerKey, cell: int, check: HealthCheck) -> _Target:
        standing = Standing(check, *self._board.health(cell))
        target = _Target(key, cell, check, standing)
        self._board.set_health(cell, standing.health, standing.reason)
        self._set_timer(target, _tick_after(self._clock() + check.interval * self._chance()))
        return target

    def _dismiss(self, target: _Target) -> None:
        self._end(target)
        target.due = NEVER
        with suppress(ValueError):
            self._queue.remove(target)

    # Timers

    def _set_timer(self, target: _Target, due: float) -> None:
        target.due = due
        heapq.heappush(self._timers, (due, next(self._tick), target))

    def _go_off(self, target: _Target, now: float) -> None:
        if target.probe is not None:
            self._finish(target, target.probe.overdue(), now)
        else:
            target.due = NEVER
            self._queue.append(target)

    def _look_at_failures(self, now: float) -> None:
        """A server that workers cannot connect to is probed now, and again when as many more attempts have failed."""
        self._next_look = now + LOOK_SECONDS
        for target in self._targets.values():
            failures = self._board.failures(target.cell)
            target.failures = min(target.failures, failures)
            if failures - target.failures < target.check.unhealthy_threshold:
                continue
            target.failures = failures
            if target.probe is None and target.due != NEVER and target.standing.health is not Health.UNHEALTHY:
                self._set_timer(target, now)

    # Probes

    def _begin(self, target: _Target, now: float) -> None:
        _, address, port = target.key
        target.next_probe = _tick_after(now + target.check.interval * (1 - JITTER + 2 * JITTER * self._chance()))
        probe = self._make_probe(target.check, address, port)
        try:
            verdict = probe.begin()
        except Shortage as shortage:
            self._fall_short(target, now, shortage)
            return
        self._short = False
        target.probe, target.excused = probe, False
        self._running.add(target)
        if verdict is not None:
            self._finish(target, verdict, now)
            return
        self._selector.register(probe.fileno(), probe.events, partial(self._on_ready, target))
        self._set_timer(target, now + target.check.connect_timeout)

    def _fall_short(self, target: _Target, now: float, shortage: Shortage) -> None:
        if not self._short:
            log.warning("no health check can be made now (%s), the states stay", shortage)
        self._short = True
        self._set_timer(target, now + SHORTAGE_SECONDS)

    def _on_ready(self, target: _Target, _events: int) -> None:
        probe = target.probe
        if probe is None:
            return  # it was ended by an earlier event of this turn
        before = probe.phase
        verdict = probe.step()
        if verdict is not None:
            self._finish(target, verdict, self._clock())
        elif probe.phase is not before:
            self._selector.modify(probe.fileno(), probe.events, partial(self._on_ready, target))
            self._set_timer(target, self._clock() + target.check.connect_timeout)

    def _finish(self, target: _Target, verdict: Reason, now: float) -> None:
        self._end(target)
        if target.excused and verdict is not Reason.NONE:
            self._set_timer(target, now)
            return
        self._set_timer(target, max(now, target.next_probe))
        self._on_probed(verdict)
        standing = target.standing
        before = standing.health, standing.reason
        changed = standing.judge(verdict)
        if (standing.health, standing.reason) != before:
            self._board.set_health(target.cell, standing.health, standing.reason)
        if changed:
            _log_change(target, before[0])

    def _end(self, target: _Target) -> None:
        """The probe, if there is one, is over."""
        if target.probe is None:
            return
        with suppress(KeyError, ValueError):  # one that ended in `begin` was never registered
            self._selector.unregister(target.probe.fileno())
        target.probe.close()
        target.probe = None
        self._running.discard(target)


def _tick_after(when: float) -> float:
    return math.ceil(when / TICK) * TICK


def _log_change(target: _Target, before: Health) -> None:
    standing = target.standing
    if standing.health is Health.UNHEALTHY:
        log.warning("server %s is unhealthy: %s", target, standing.reason.name)
    elif before is Health.UNHEALTHY:
        log.info("server %s is healthy again", target)
    else:
        log.debug("server %s is healthy", target)
