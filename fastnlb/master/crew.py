"""How many workers there are: one more, one fewer, or as many as a reload says, while the daemon serves.

    more    the worker is forked first; once it has booted its row of sockets is opened, and new connections go there
            when it accepts.  Where that cannot be, the old number stays
    fewer   the last one is retired: no new connections go to its sockets, it serves what was under way on them and
            ends with its last connection, within shutdown_timeout.  Its seat is free at once

Nothing of it is done while a change is under way.  See docs/decisions/0017-worker-count.md.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection
from typing import Any

from fastnlb.master.fleet import Fleet
from fastnlb.master.limits import open_files, open_files_needed
from fastnlb.master.listen import CannotListen
from fastnlb.master.process import State, Worker
from fastnlb.master.rollout import Rollout

DRAIN_GRACE = 2.0  # seconds after shutdown_timeout, until what still drains is killed
STOP_GRACE = 1.0
HOPELESS = 3  # deaths in a row before it could serve, after which a seat that is to go is not waited for

log = logging.getLogger("fastnlb.master")


class Crew:
    """The number that is wanted, and the way there.  `places` is how many workers can live at one time, those that
    drain included; `clear_row` is called when one has ended whose row nobody takes over.
    """

    def __init__(
        self, fleet: Fleet, rollout: Rollout, *, places: int, shutdown_timeout: int, clear_row: Callable[[int], None]
    ) -> None:
        self.wanted = fleet.seats
        self._fleet = fleet
        self._rollout = rollout
        self._places = places
        self._shutdown_timeout = shutdown_timeout
        self._clear_row = clear_row

    # What is wanted

    def set(self, count: int) -> None:
        """So many from now on; or one line that says why not."""
        if count == self.wanted or self._fleet.dismissed:
            return
        why_not = self._why_not(count)
        if why_not:
            log.error("workers: %d -> %d: %s; still %d", self.wanted, count, why_not, self.wanted)
        else:
            log.info("workers: %d -> %d", self.wanted, count)
            self.wanted = count

    def _why_not(self, count: int) -> str:
        if count < 1:
            return "there is at least one"
        if count > self._places:
            return f"a daemon that was started with fewer takes {self._places} at most; restart it for more"
        needed = open_files_needed(count, self._rollout.rows_used)
        if needed > open_files():
            return f"the limit of {open_files()} open files is too low: {needed} or more (ulimit -Hn, LimitNOFILE=)"
        return ""

    # The way there

    def reconcile(self) -> None:
        """The next steps that can be done now."""
        if self._rollout.changing or self._rollout.in_force is None:
            return
        self._admit()
        while self._fleet.seats > self.wanted and self._retire(self._fleet.seats - 1):
            pass
        while self._fleet.seats < self.wanted and self._fleet.rows_taken < self._places:
            self._fleet.open_seat(self._fleet.seats)

    def _admit(self) -> None:
        """Sockets for those that have booted and have none, in the order of their seats."""
        while self._rollout.seats < self.wanted:
            worker = self._fleet.workers.get(self._rollout.seats)
            if worker is None or not worker.booted:
                return
            try:
                self._rollout.admit(worker)
            except (CannotListen, OSError) as error:
                log.error("there cannot be %d workers, still %d: %s", self.wanted, self._rollout.seats, error)
                self.wanted = self._rollout.seats

    def _retire(self, index: int) -> bool:
        """False: not now.  A worker that is between two states is waited for, as it has a queue to serve."""
        if index >= self._rollout.seats:
            self._fleet.close_seat(index, "stop", STOP_GRACE)  # it never had a connection
            return True
        worker = self._fleet.workers.get(index)
        serves = worker is not None and worker.state is State.SERVING and not worker.offered
        if not serves and self._fleet.policy.early_deaths(index) < HOPELESS:
            return False
        generation = self._rollout.retire(index)
        seconds = self._shutdown_timeout
        self._fleet.close_seat(index, "retire", seconds + DRAIN_GRACE, generation=generation, seconds=seconds)
        log.info("worker %d is retired: it drains, for at most %d s", index, seconds)
        return True

    def part(self, rows: Collection[int]) -> None:
        """Before the end of all: whoever has sockets in these, which nobody else serves, serves what is under way."""
        seconds = self._shutdown_timeout
        for index, worker in self._fleet.workers.items():
            if index in rows:
                self._fleet.send(worker, "retire", generation=worker.generation, seconds=seconds)
                worker.kill_at = time.monotonic() + seconds + DRAIN_GRACE

    def gone(self, worker: Worker) -> None:
        """It is dead.  What a worker with a seat counted is cleared by its heir."""
        if worker.retired:
            self._clear_row(worker.row)

    # What is

    def state(self, since: float, draining: list[dict[str, Any]]) -> dict[str, Any]:
        """The daemon as `fastnlb status` is told of it, alive `since` then; `draining` is its predecessor."""
        in_force = self._rollout.in_force
        return {
            "pid": os.getpid(),
            "since": since,
            "shutdown_timeout": self._shutdown_timeout,
            "generation": 0 if in_force is None else in_force[0],
            "workers": self._processes(),
            "draining": draining,
        }

    def _processes(self) -> list[dict[str, Any]]:
        everyone = sorted(self._fleet.everyone(), key=lambda worker: (worker.index, worker.retired))
        return [
            {
                "index": worker.index,
                "pid": worker.pid,
                "state": worker.state.value,
                "generation": worker.generation,
                "row": worker.row,
                "since": worker.started_at,
            }
            for worker in everyone
        ]
