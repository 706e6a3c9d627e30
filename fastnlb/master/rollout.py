"""Brings Snapshots to the workers: whole changes to all of them, and the present state to each heir.

The `Change` decides; this file sends, and keeps the sockets in step: staged with the change, adopted at the
commit, closed after a rollback; those that go are closed when no worker has them any more (`parting`).  What a worker
lacks is computed from the sockets it holds, so a fresh worker, one that takes part in a change and one that missed a
change are served by the same few lines.  A worker that does not answer in time is killed, and the change goes on.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from fastnlb.channel import encode_offer, payload_descriptor
from fastnlb.master.access_log import CannotLog, open_access_log
from fastnlb.master.cells import CellBook
from fastnlb.master.change import Action, Change, Done, Failed, Phase, SendCommit, SendRollback
from fastnlb.master.fleet import Fleet
from fastnlb.master.fronts import Fronts
from fastnlb.master.listen import try_options
from fastnlb.master.offers import Sent, check_limits, ports_of_ranges
from fastnlb.master.parting import Partings
from fastnlb.master.process import State, Worker
from fastnlb.master.sockets import SocketPlan, SocketTable, Staged, plan_sockets
from fastnlb.model import STDOUT, Offer, Snapshot, SocketKey
from fastnlb.preserving import check_privileges

PREPARE_SECONDS = 60.0  # a worker that serves may take: ten thousand certificates take it 10 s
START_SECONDS = 300.0  # one that does not yet: all of them may read everything at once, on however few processors
PAYLOAD_PER_SECOND = 250_000  # bytes more to read take a second more; it is ten times as fast undisturbed
COMMIT_SECONDS = 10.0
SOCKETS_PER_FRAME = 100  # with the longest names still well below the size of a packet

log = logging.getLogger("fastnlb.master")


class ChangeInProgress(Exception):  # noqa: N818 - reads as what it says
    """The previous change is not finished; try again when it is."""


class Rollout:
    """The state every worker serves or is about to.  The arbiter passes the frames of workers in."""

    def __init__(
        self,
        seats: int,
        fleet: Fleet,
        table: SocketTable,
        fronts: Fronts,
        cells: CellBook,
        *,
        on_done: Callable[[], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self.seats = seats
        self._partings = Partings(table.close_retired)
        self._fleet = fleet
        self._table = table
        self._fronts = fronts
        self._cells = cells
        self._on_done = on_done
        self._on_failed = on_failed
        self._last_generation = 0
        self._current: Sent | None = None  # None only before the first commit
        self._next: Sent | None = None
        self._change: Change | None = None
        self._sockets = SocketPlan((), ())
        self._reopen_due = False

    @property
    def snapshot(self) -> Snapshot:
        """What is served, by decision if not yet by every worker."""
        return Snapshot() if self._current is None else self._current.snapshot

    @property
    def in_force(self) -> tuple[int, int] | None:
        """Generation and payload of what is served; the descriptor stays ours.  None before the first commit."""
        return None if self._current is None else (self._current.generation, self._current.payload)

    @property
    def changing(self) -> bool:
        """Whether a change is under way, so that `apply` would raise ChangeInProgress."""
        return self._change is not None

    @property
    def rows_used(self) -> int:
        """How many sockets each worker has."""
        return len(self._table.row(0))

    def settled(self) -> bool:
        """Whether a worker in every seat serves the current Snapshot and nothing is under way."""
        if self._change is not None or self._current is None or len(self._fleet.workers) < self.seats:
            return False
        generation = self._current.generation
        return all(w.state is State.SERVING and w.generation == generation for w in self._fleet.workers.values())

    def apply(self, snapshot: Snapshot) -> None:
        """Begins the change to `snapshot`; raises CannotListen, OSError or ChangeInProgress and then did nothing."""
        if self._change is not None:
            raise ChangeInProgress("the previous change is not finished")
        check_privileges(snapshot)
        plan = plan_sockets(self.snapshot, snapshot)
        for listener in plan.tunes:
            try_options(listener)
        staged = self._table.open_rows(plan.opens, self.seats)
        try:
            self._next = self._compose(snapshot, staged, plan)
        except BaseException:
            staged.close()
            raise
        self._last_generation += 1
        self._sockets = plan
        self._change = Change(self._last_generation, snapshot, staged, self._participants())
        try:
            for index in self._change.participants & self._fleet.workers.keys():
                self._offer_next(self._fleet.workers[index])
        except BaseException:
            self._take_back(self._change)
            raise
        self._perform(self._change.begin())

    def reopen_access_log(self) -> None:
        """Opens it anew by its name, for every worker; after the change that is under way."""
        self._reopen_due = self._change is not None
        current = self._current
        if self._reopen_due or current is None:
            return
        if current.snapshot.access_log in (None, STDOUT):
            log.info("there is no access log to open anew")
            return
        try:
            descriptor = open_access_log(current.snapshot.access_log)
        except CannotLog as error:
            log.error("%s: the file that is open stays in use", error)
            return
        for worker in self._fleet.everyone():
            self._fleet.send(worker, "reopened", [descriptor])
        os.close(current.access_log)
        self._current = replace(current, access_log=descriptor)
        log.info("access log %s opened anew", current.snapshot.access_log)

    def health(self) -> list[list[Any]]:
        """What is known of the servers that are served, for a successor."""
        return [] if self._current is None else self._cells.health(self._current.cells)

    def inherit_health(self, known: list[list[Any]]) -> None:
        """What a predecessor knew, for the change that has just begun."""
        offer = self._next or self._current
        if offer is not None:
            self._cells.inherit_health(offer.cells, known)

    def _compose(self, snapshot: Snapshot, staged: Staged, plan: SocketPlan) -> Sent:
        fronts = self._fronts.assign(snapshot)
        cells = self._cells.assign(snapshot)
        check_limits(snapshot, cells)
        ports = ports_of_ranges(snapshot, self._table.next_row(0, staged, plan.closes))
        access_log = self._access_log_for(snapshot)
        try:
            payload = payload_descriptor(encode_offer(Offer(snapshot, fronts, cells, ports)))
        except BaseException:
            if access_log >= 0:
                os.close(access_log)
            raise
        return Sent(self._last_generation + 1, snapshot, fronts, cells, payload, access_log)

    def _access_log_for(self, snapshot: Snapshot) -> int:
        """The one there is, when it stays: a change of something else opens no file."""
        current = self._current
        if current is not None and current.access_log >= 0 and snapshot.access_log == current.snapshot.access_log:
            return os.dup(current.access_log)
        return open_access_log(snapshot.access_log)

    def _take_back(self, change: Change) -> None:
        """What was begun and cannot go on.  A worker that was not offered it ignores the rollback."""
        self._tell(change.participants, "rollback")
        self._drop_next(change)

    def close(self) -> None:
        """Closes the sockets and payloads of this object: at the end, and in a forked child."""
        self._partings = Partings(self._table.close_retired)
        if self._change is not None and self._change.phase is Phase.PREPARING:
            self._change.staged.close()
        for offer in (self._current, self._next):
            if offer is not None:
                offer.close()
        self._current = self._next = self._change = None

    # Events of workers

    def booted(self, worker: Worker) -> None:
        if worker.state is not State.BOOTING:
            self._fleet.kill(worker, "booted twice")
            return
        worker.booted = True
        if worker.index >= self.seats:
            return  # it has no sockets yet; `admit` sees to that
        if self._current is not None:
            self._offer(worker, self._current, self._table.row(worker.index))
        else:
            self._offer_next(worker)

    def prepared(self, worker: Worker, generation: int) -> None:
        if generation != worker.offered:
            return  # an answer to what was rolled back meanwhile
        worker.answer_by = None
        change = self._change
        if change is not None and change.phase is Phase.PREPARING and change.generation == generation:
            self._perform(change.on_prepared(worker.index))
        else:
            self._commit(worker, generation)

    def refused(self, worker: Worker, generation: int, message: str) -> None:
        change = self._change
        if change is not None and change.phase is Phase.PREPARING and change.generation == generation:
            self._perform(change.on_refused(worker.index, message))
        elif generation == worker.offered:
            # Its siblings took the same Snapshot.  A new process starts from a clean slate.
            self._fleet.kill(worker, f"refused what the others serve ({message})")

    def applied(self, worker: Worker, generation: int) -> None:
        if generation != worker.offered or not generation:
            return
        worker.generation, worker.offered, worker.answer_by = generation, 0, None
        worker.holds, worker.staged = worker.staged, {}
        if worker.state is State.PREPARING:
            worker.state = State.SERVING
            worker.serving_since = time.monotonic()
            self._table.set_present(worker.index)
            log.info("worker %d (pid %d) serves", worker.index, worker.pid)
        if self._change is not None and self._change.generation == generation:
            self._perform(self._change.on_applied(worker.index))
        self._catch_up(worker)

    def parted(self, worker: Worker, generation: int) -> None:
        self._partings.parted(worker, generation)

    def gone(self, worker: Worker) -> None:
        """It is dead.  Until its heir serves, new connections go to its siblings."""
        self._partings.gone(worker)
        if worker.retired:
            return
        if self._current is not None and worker.index < self.seats:
            self._table.set_absent(worker.index)
        if self._change is None:
            return
        # At the start there is no older state for the heir, so it takes its predecessor's part.
        lost = self._change.on_replaced if self._current is None else self._change.on_gone
        self._perform(lost(worker.index))

    # The number of workers; when no change is under way

    def admit(self, worker: Worker) -> None:
        """Opens the sockets of one worker more, which has booted.  Raises CannotListen and then did nothing."""
        self._table.open_row(self.snapshot.active_listeners(), worker.index)
        self.seats += 1
        self._catch_up(worker)

    def retire(self, index: int) -> int:
        """Takes the row of the last worker; the generation that its sockets go with, which it has to be told."""
        worker = self._fleet.workers.get(index)
        self.seats -= 1
        # One more than its own: what it says of sockets that went earlier is not said of these.
        generation = 1 if worker is None else worker.generation + 1
        self._partings.begin(generation, self._table.retire_row(index), [] if worker is None else [worker])
        return generation

    # Actions of the change

    def _perform(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case SendCommit(to):
                    self._decide()
                    self._tell(to, "commit")
                case SendRollback(to):
                    self._tell(to, "rollback")
                case Done():
                    self._done()
                case Failed(message):
                    self._failed(message)

    def _decide(self) -> None:
        """The point of no return: from here on an heir gets the new Snapshot."""
        assert self._change is not None  # noqa: S101 - for the type checker
        if self._current is not None:
            self._current.close()
        assert self._next is not None  # noqa: S101 - likewise
        self._current, self._next = self._next, None
        self._fronts.adopt(self._current.snapshot, self._current.fronts)
        self._cells.adopt(self._current.cells)
        gone = self._table.adopt(self._change.staged, self._sockets.closes)
        self._partings.begin(self._current.generation, gone, self._fleet.everyone())
        for listener in self._sockets.tunes:
            self._table.tune(listener)

    def _tell(self, indices: Iterable[int], kind: str) -> None:
        for index in indices:
            worker = self._fleet.workers.get(index)
            if worker is None:
                continue
            if kind == "rollback":
                worker.offered, worker.staged, worker.answer_by = 0, {}, None
                self._fleet.send(worker, kind, generation=self._last_generation)
            else:
                self._commit(worker, self._last_generation)

    def _commit(self, worker: Worker, generation: int) -> None:
        worker.answer_by = time.monotonic() + COMMIT_SECONDS
        self._fleet.send(worker, "commit", generation=generation)

    def _done(self) -> None:
        self._change = None
        for worker in list(self._fleet.workers.values()):
            self._catch_up(worker)
        self._on_done()
        self._reopen_if_due()

    def _failed(self, message: str) -> None:
        assert self._change is not None  # noqa: S101 - for the type checker
        self._drop_next(self._change)
        self._on_failed(message)
        self._reopen_if_due()

    def _reopen_if_due(self) -> None:
        if self._reopen_due:
            self.reopen_access_log()

    def _drop_next(self, change: Change) -> None:
        change.staged.close()
        if self._next is not None:
            self._next.close()
        self._change = self._next = None

    # Sending a Snapshot

    def _participants(self) -> list[int]:
        """Who is asked: at the start every seat, later every worker that serves and has nothing else to answer."""
        if self._current is None:
            return list(range(self.seats))
        return [w.index for w in self._fleet.workers.values() if w.state is State.SERVING and not w.offered]

    def _catch_up(self, worker: Worker) -> None:
        """Offers the current Snapshot to a worker that was not asked when it was decided on."""
        waits = worker.state is State.SERVING or (worker.booted and worker.state is State.BOOTING)
        if self._current is None or not waits or worker.offered or worker.index >= self.seats:
            return
        if worker.generation != self._current.generation:
            self._offer(worker, self._current, self._table.row(worker.index))

    def _offer_next(self, worker: Worker) -> None:
        if self._change is None or self._next is None:
            return
        row = self._table.next_row(worker.index, self._change.staged, self._sockets.closes)
        self._offer(worker, self._next, row)

    def _offer(self, worker: Worker, offer: Sent, row: dict[SocketKey, socket.socket]) -> None:
        lacking = [(key, sock) for key, sock in row.items() if worker.holds.get(key) is not sock]
        for start in range(0, len(lacking), SOCKETS_PER_FRAME):
            batch = lacking[start : start + SOCKETS_PER_FRAME]
            ports: dict[str, list[int]] = defaultdict(list)
            for (name, port), _ in batch:
                ports[name].append(port)
            fds = [sock.fileno() for _, sock in batch]
            self._fleet.send(worker, "sockets", fds, generation=offer.generation, ports=ports)
        payload = [offer.payload] if offer.access_log < 0 else [offer.payload, offer.access_log]
        self._fleet.send(worker, "prepare", payload, generation=offer.generation)
        worker.offered, worker.staged = offer.generation, row
        patience = PREPARE_SECONDS if worker.state is State.SERVING else START_SECONDS
        worker.answer_by = time.monotonic() + patience + os.fstat(offer.payload).st_size / PAYLOAD_PER_SECOND
        if worker.state is State.BOOTING:
            worker.state = State.PREPARING
