"""The child processes of one role: which seats are filled, what their channels say, who died, who is due.

One seat per index.  `reconcile` and `bury` move the actual towards the desired, which is a living child in
every seat until `dismiss`.  A child whose seat is closed is `leaving`: it ends in its own time, and the seat may be
opened again meanwhile.  So each child has a row of its own besides its index: an heir that of its predecessor, any
other the lowest that is free.  Nothing here blocks, and nothing here knows what a Snapshot is: frames and deaths
are handed to `on_frame` and `on_gone`.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from fastnlb.channel import ChannelClosed, ChannelError, Frame
from fastnlb.master.process import WORKER_DONE, Role, State, Worker, WorkerMain, describe_exit, spawn
from fastnlb.master.respawn import RespawnPolicy

FRAMES_PER_TURN = 64  # so that a chatty worker does not keep the loop from the others
EXIT_GRACE = 1.0  # between the end of a worker's channel and the end of its process

log = logging.getLogger("fastnlb.master")


class Fleet:
    """All children of one role.  Whoever gets a frame by `on_frame` owns its descriptors."""

    def __init__(
        self,
        *,
        role: Role,
        seats: int,
        worker_main: WorkerMain,
        selector: selectors.BaseSelector,
        disinherit: Callable[[], None],
        on_frame: Callable[[Worker, Frame], None],
        on_gone: Callable[[Worker, int], None],
        on_unfilled: Callable[[int, OSError], None],
    ) -> None:
        self.workers: dict[int, Worker] = {}
        self.leaving: list[Worker] = []
        self.policy = RespawnPolicy()
        self._role = role
        self._worker_main = worker_main
        self._selector = selector
        self._disinherit = disinherit
        self._on_frame = on_frame
        self._on_gone = on_gone
        self._on_unfilled = on_unfilled
        self._due: dict[int, float] = {}
        self._rows: dict[int, int] = {}  # of each seat
        self.dismissed = False
        for index in range(seats):
            self.open_seat(index)

    # What the loop calls

    def reconcile(self) -> None:
        """Kills who is overdue, forks who is due."""
        now = time.monotonic()
        for worker in self.everyone():
            if worker.kill_at is not None and worker.kill_at <= now:
                self.kill(worker, "did not end in time")
            elif worker.answer_by is not None and worker.answer_by <= now:
                self.kill(worker, "does not answer")
        for index in [index for index, due in self._due.items() if due <= now]:
            self._fill(index, now)

    def next_deadline(self) -> float | None:
        """When `reconcile` has something to do next, on the monotonic clock."""
        limits = (limit for worker in self.everyone() for limit in (worker.kill_at, worker.answer_by))
        return min([*self._due.values(), *(limit for limit in limits if limit is not None)], default=None)

    def bury(self, pid: int, status: int) -> bool:
        """Takes note of a dead child, with the status it was reaped with; False when it is none of ours."""
        worker = next((worker for worker in self.everyone() if worker.pid == pid), None)
        if worker is not None:
            self._bury(worker, status)
        return worker is not None

    def finish(self) -> None:
        """Kills and reaps whatever is left.  For the very end, where waiting is allowed."""
        self._due.clear()
        for worker in self.everyone():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)
            self._hang_up(worker)
        self.workers.clear()
        self.leaving.clear()

    # What the arbiter, the rollout and the steward call

    @property
    def seats(self) -> int:
        """How many are open, filled or not."""
        return len(self._rows)

    @property
    def rows_taken(self) -> int:
        return len(self._rows) + len(self.leaving)

    def everyone(self) -> list[Worker]:
        """With and without a seat."""
        return [*self.workers.values(), *self.leaving]

    def open_seat(self, index: int) -> None:
        """A seat more, which the next `reconcile` fills."""
        if not self.dismissed:
            self._rows[index] = self._free_row()
            self._due[index] = 0.0

    def close_seat(self, index: int, kind: str, within: float, **fields: Any) -> None:
        """A seat fewer.  Who sits there is sent this frame, and SIGKILL after `within` seconds."""
        del self._rows[index]
        self._due.pop(index, None)
        worker = self.workers.pop(index, None)
        if worker is not None:
            self.leaving.append(worker)
            worker.retired, worker.state = True, State.DRAINING
            worker.answer_by, worker.kill_at = None, time.monotonic() + within
            self.send(worker, kind, **fields)

    def send(self, worker: Worker, kind: str, fds: Iterable[int] = (), **fields: Any) -> None:
        """Sends a frame; one to a dying worker is lost, which its end will tell in a moment."""
        if worker.channel.fileno() < 0:
            return
        try:
            worker.channel.send(kind, fds, **fields)
        except ChannelClosed:
            return  # its last words are still to be read, and then the end of file
        except OSError as error:
            self.kill(worker, f"cannot be sent a {kind} frame: {error}")
        else:
            self._watch(worker)

    def dismiss(self, kind: str, within: float, **fields: Any) -> None:
        """Sends everyone home: the frame now, SIGKILL after `within` seconds; no seat is filled any more."""
        self.dismissed = True
        self._due.clear()
        deadline = time.monotonic() + within
        for worker in self.everyone():
            if worker.kill_at is None or deadline < worker.kill_at:  # else it is on its way already
                self.send(worker, kind, **fields)
            worker.state, worker.answer_by = State.DRAINING, None
            worker.kill_at = deadline if worker.kill_at is None else min(deadline, worker.kill_at)

    def kill(self, worker: Worker, why: str) -> None:
        """SIGKILL: the worker is of no use any more.  Its seat is filled again as after any death."""
        if worker.state is State.GONE:
            return
        log.error("%s (pid %d) %s: killed", worker.name, worker.pid, why)
        worker.kill_at = worker.answer_by = None
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)

    def disinherit(self) -> None:
        """Closes our ends of the channels, in a forked child."""
        for worker in self.everyone():
            worker.channel.close()

    # Birth and death

    def _free_row(self) -> int:
        taken = {*self._rows.values(), *(worker.row for worker in self.leaving)}
        return next(row for row in count() if row not in taken)

    def _fill(self, index: int, now: float) -> None:
        if self._due.pop(index, None) is None:
            return  # dismissed while the list of who is due was walked
        try:
            worker = spawn(index, self._rows[index], self._role, self._worker_main, self._disinherit)
        except OSError as error:
            self._due[index] = now + self.policy.delay(index, 0.0, None)
            log.error("cannot fork %s: %s", self._role.name.format(index), error)
            self._on_unfilled(index, error)
            return
        self.workers[index] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, partial(self._on_channel, worker))
        log.info("%s started (pid %d)", worker.name, worker.pid)

    def _bury(self, worker: Worker, status: int) -> None:
        while worker.channel.fileno() >= 0 and self._read_some(worker):
            pass  # what it still had to say may be the reason
        self._hang_up(worker)
        worker.state = State.GONE
        if worker.retired:
            self.leaving.remove(worker)
        else:
            del self.workers[worker.index]
        self._plan_heir(worker, status)
        self._on_gone(worker, status)

    def _plan_heir(self, worker: Worker, status: int) -> None:
        name = f"{worker.name} (pid {worker.pid})"
        how = describe_exit(status)
        if self.dismissed or worker.retired:
            log.log(logging.INFO if status == WORKER_DONE else logging.WARNING, "%s ended: %s", name, how)
            return
        now = time.monotonic()
        served = None if worker.serving_since is None else now - worker.serving_since
        delay = self.policy.delay(worker.index, now - worker.started_at, served)
        self._due[worker.index] = now + delay
        log.error("%s died: %s; its heir starts %s", name, how, f"in {delay:.1f} s" if delay else "now")

    # Channels

    def _on_channel(self, worker: Worker, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            with suppress(ChannelClosed):  # as in `send`
                worker.channel.flush()
        if events & selectors.EVENT_READ:
            self._read_some(worker)
        self._watch(worker)

    def _read_some(self, worker: Worker) -> bool:
        """Hands on a bounded number of frames; whether there may be more."""
        for _ in range(FRAMES_PER_TURN):
            if worker.channel.fileno() < 0:
                return False
            try:
                frame = worker.channel.receive()
            except ChannelClosed:
                self._hang_up(worker)
                limit = time.monotonic() + EXIT_GRACE
                worker.kill_at = limit if worker.kill_at is None else min(limit, worker.kill_at)
                return False
            except (ChannelError, OSError) as error:
                self._hang_up(worker)
                self.kill(worker, f"broke the control protocol ({error})")
                return False
            if frame is None:
                return False
            self._on_frame(worker, frame)
        return True

    def _watch(self, worker: Worker) -> None:
        if worker.channel.fileno() < 0:
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.pending else 0)
        key = self._selector.get_key(worker.channel)
        if key.events != events:
            self._selector.modify(worker.channel, events, key.data)

    def _hang_up(self, worker: Worker) -> None:
        if worker.channel.fileno() >= 0:
            self._selector.unregister(worker.channel)
            worker.channel.close()
