"""The master's loop: single-threaded, never blocking, from start to end of the daemon.

Signals, channel frames and dead children arrive as events; each turn then reconciles the workers that are with
those that should be.  Nothing is terminated, parsed or decided for a connection here.

    start   open the sockets, fork, and make the change from the empty Snapshot; `ready` when it is done
    TERM    drain: workers finish within shutdown_timeout, what remains 2 s later is killed
    INT     workers stop at once, what remains 1 s later is killed
    HUP     the control process reads the configuration again and proposes a change; see steward.py
    USR1    the access log is opened anew; see rollout.py
    USR2    the program is started anew with the same sockets, and this process gives way; see succession.py
    TTIN    one worker more; TTOU: one fewer; see crew.py
    a death its seat gets an heir with the same sockets; see respawn.py

Exit codes: 0 ended as asked, 1 the workers refused the start, 3 cannot start.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable

from fastnlb import privileges
from fastnlb.hardening import protect_memory
from fastnlb.master import notify
from fastnlb.master.admin_port import AdminPort
from fastnlb.master.admin_socket import AdminSocket, AdminSocketError
from fastnlb.master.cells import NO_BOARD, Board, CellBook, Ledger
from fastnlb.master.crew import DRAIN_GRACE, STOP_GRACE, Crew
from fastnlb.master.exits import EXIT_CANNOT_START, EXIT_DONE, EXIT_REFUSED
from fastnlb.master.fleet import Fleet
from fastnlb.master.fronts import Fronts
from fastnlb.master.hearing import Hearing
from fastnlb.master.holdings import Holdings
from fastnlb.master.inherit import Predecessor
from fastnlb.master.limits import open_files_needed, raise_open_files
from fastnlb.master.listen import CannotListen
from fastnlb.master.pidfile import PidFile, PidFileError
from fastnlb.master.process import WORKER, WorkerMain, dead_children, set_title
from fastnlb.master.rollout import Rollout
from fastnlb.master.signals import SignalQueue
from fastnlb.master.sockets import SocketTable
from fastnlb.master.steward import Answer, Steward
from fastnlb.master.succession import Succession
from fastnlb.master.upgrade import Command, Estate
from fastnlb.model import Settings, Snapshot
from fastnlb.privileges import PrivilegeError

log = logging.getLogger("fastnlb.master")


class Arbiter:
    """One daemon.  `run` is its whole life; `apply` changes what it serves meanwhile, from within the loop.

    `board` is what its cells are given out of, and `ledger` is told to whom; `fronts` is the size of the pool of
    session ticket keys that `worker_main` has with it; `places` and `clear_row` are those of crew.py.
    `control_main` is what the control process runs; None for a daemon without one.  `admin` and
    `admin_port` are opened with the start.
    `command` starts a successor, which is handed the `bequest` too; `predecessor` is whose successor this one is.
    """

    def __init__(
        self,
        settings: Settings,
        snapshot: Snapshot,
        worker_main: WorkerMain,
        *,
        pid_file: str | os.PathLike[str] | None = None,
        on_ready: Callable[[], None] | None = None,
        fronts: int = 0,
        board: Board = NO_BOARD,
        ledger: Ledger | None = None,
        places: int = 64,
        clear_row: Callable[[int], None] = lambda _row: None,
        control_main: WorkerMain | None = None,
        admin: AdminSocket | None = None,
        admin_port: AdminPort | None = None,
        command: Command | None = None,
        predecessor: Predecessor | None = None,
        bequest: Estate | None = None,
    ) -> None:
        self._settings = settings
        self._first_snapshot = snapshot
        own_pid_file = None if pid_file is None else PidFile(pid_file)
        self._holdings = Holdings(own_pid_file, admin, predecessor, admin_port)
        self._on_ready = on_ready
        self._born = time.monotonic()
        self._watchdog = notify.Watchdog()
        self._ready = False
        self._ending = False
        self._exit_code = EXIT_DONE
        self._signals = SignalQueue()
        self._selector = selectors.DefaultSelector()
        self._table = SocketTable(predecessor.rows if predecessor is not None else None)
        self._predecessor = predecessor
        self._bequest = bequest or Estate()
        self._gave_way = False
        self._unserved: list[int] = []  # rows with sockets of the predecessor that nobody here accepts on
        self._reload_missed = False
        hearing = Hearing(
            starting=lambda: not self._ready and not self._ending, ending=lambda: self._ending, fail=self._fail
        )
        self._fleet = Fleet(
            role=WORKER,
            seats=settings.workers,
            worker_main=worker_main,
            selector=self._selector,
            disinherit=self._disinherit,
            on_frame=hearing.on_frame,
            on_gone=hearing.on_gone,
            on_unfilled=hearing.on_unfilled,
        )
        self._rollout = Rollout(
            settings.workers,
            self._fleet,
            self._table,
            Fronts(fronts),
            CellBook(board, ledger=ledger),
            on_done=self._on_done,
            on_failed=self._on_failed,
        )
        self._crew = Crew(
            self._fleet,
            self._rollout,
            places=places,
            shutdown_timeout=settings.shutdown_timeout,
            clear_row=clear_row,
        )
        hearing.serve(self._fleet, self._rollout, self._crew)
        self._steward = Steward(
            control_main,
            self._selector,
            self._disinherit_control,
            self._rollout,
            self._on_ask,
            on_workers=self._crew.set,
        )
        self._succession = Succession(
            command,
            predecessor,
            self._selector,
            self._disinherit,
            can_begin=self._may_upgrade,
            estate=self._estate,
            give_way=self._give_way,
            on_failed=self._on_upgrade_failed,
            on_alone=self._holdings.confirm,
            on_gone=self._table.close_retired,
            on_abort=self.handle_int,
        )

    def run(self) -> int:
        """Runs the daemon to its end; the exit code for the process."""
        try:
            if self._start():
                self._loop()
        finally:
            self._close()
        return self._exit_code

    def apply(self, snapshot: Snapshot) -> None:
        """Begins the change to `snapshot`; raises CannotListen, OSError or ChangeInProgress and then did nothing."""
        self._rollout.apply(snapshot)

    # The loop

    def _start(self) -> bool:
        """Whether there is anything to loop for."""
        set_title("fastnlb:master")
        if not self._settings.core_dumps:
            protect_memory()  # and that of every child: both halves of it are inherited
        soft, hard = raise_open_files()
        log.debug("open files: %d of at most %d", soft, hard)
        listeners = len(self._first_snapshot.active_listeners())  # a range may need more, which is seen in time
        if soft < (needed := open_files_needed(self._settings.workers, listeners)):
            what = f"{self._settings.workers} workers and {listeners} listeners"
            limit = f"the limit of {soft} open files is too low for {what}"
            self._fail(EXIT_CANNOT_START, f"{limit}: it must be {needed} or more (ulimit -Hn, LimitNOFILE=)")
            return False
        self._signals.install()
        self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
        try:
            self._holdings.take()
            self.apply(self._first_snapshot)
            if self._predecessor is not None:
                self._rollout.inherit_health(self._predecessor.facts.get("health", []))
            privileges.limit(privileges.MASTER)
        except (CannotListen, PidFileError, AdminSocketError, PrivilegeError, OSError) as error:
            self._fail(EXIT_CANNOT_START, str(error))
            return False
        return True

    def _loop(self) -> None:
        while not self._ended():
            if self._ready and not self._ending:
                self._crew.reconcile()
            self._fleet.reconcile()
            self._steward.reconcile()
            self._succession.reconcile()
            if self._ended():
                return  # the last attempt to fork has failed: nobody is left to hear from
            for key, events in self._selector.select(self._timeout()):
                key.data(events)
            # At every turn, not only after CHLD: a signal can be lost when its queue is full.
            self._reap()
            self._say_ready()
            self._steward.tell(self._crew.state(self._born, self._succession.draining()))
            self._watchdog.turn()

    def _reap(self) -> None:
        for pid, status in dead_children():
            if not self._fleet.bury(pid, status) and not self._steward.bury(pid, status):
                self._succession.bury(pid, status)

    def _ended(self) -> bool:
        return self._ending and not self._fleet.everyone()

    def _timeout(self) -> float | None:
        parts = (self._fleet, self._steward, self._succession)
        times = [*(part.next_deadline() for part in parts), self._watchdog.due]
        deadline = min((each for each in times if each is not None), default=None)
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _close(self) -> None:
        self._fleet.finish()
        self._steward.finish()
        self._succession.close()
        # Before the signals: an impatient second Ctrl-C must not leave it behind.
        self._holdings.close()
        self._rollout.close()
        self._table.close_all()
        self._selector.close()
        self._signals.close()

    def _disinherit(self) -> None:
        """Runs in a forked child.  Closes, and never unregisters: the epoll set itself is shared with the master."""
        self._holdings.disinherit_admin()
        self._disinherit_control()

    def _disinherit_control(self) -> None:
        """The control process keeps the admin socket and port."""
        self._succession.disinherit()
        self._fleet.disinherit()
        self._steward.disinherit()
        self._rollout.close()
        self._table.close_all()
        self._selector.close()
        self._signals.disinherit()
        self._holdings.disinherit()

    def _on_ask(self, what: str, answer: Answer) -> None:
        """What a command has asked for through the control process."""
        if self._ending:
            answer(False, "the daemon is ending")
        elif what in ("reload", "change") and self._succession.running:
            self._reload_missed = True  # what it was for may be the way back from a change that failed
            answer(False, "a hot restart is under way, which reads the configuration too")
        elif what in ("reload", "change"):
            answer(True)
            self._steward.reload(whole=what == "reload")
        elif what == "upgrade":
            self._succession.ask(answer)
        elif what == "stop":
            answer(True, f"draining, for at most {self._settings.shutdown_timeout} s")
            self.handle_term()
        else:
            answer(False, f"{what}: not available in this version of fastnlb")

    # The start, and its failure

    def _say_ready(self) -> None:
        if self._ready or self._ending or not self._rollout.settled():
            return
        self._unserved += self._table.disown()
        if not self._succession.announce(self._unserved):
            return
        self._ready = True
        notify.say("ready")
        notify.ready()
        log.info("ready: %d workers", self._settings.workers)
        if self._on_ready is not None:
            self._on_ready()
        self._steward.start()

    def _on_done(self) -> None:
        if not self._steward.applied():
            log.info("the change is applied: %d listeners", len(self._rollout.snapshot.active_listeners()))

    def _on_failed(self, message: str) -> None:
        if self._ready:
            self._steward.refused(message)
        else:
            self._fail(EXIT_REFUSED, message)

    def _fail(self, code: int, message: str) -> None:
        """Ends a start that cannot succeed, with one line for whoever started us."""
        if self._ending:
            return
        notify.say(f"fastnlb: {message}")
        self._succession.failed(message)
        self._exit_code = code
        self._end("stop", STOP_GRACE)

    # Signals

    def _on_signals(self, _events: int) -> None:
        for name in self._signals.read():
            getattr(self, f"handle_{name}")()

    def handle_chld(self) -> None:
        """The loop reaps at every turn."""

    def handle_term(self) -> None:
        if self._ending:
            return
        log.info("draining, for at most %d s", self._settings.shutdown_timeout)
        notify.stopping()
        self._drain()

    def handle_quit(self) -> None:
        self.handle_term()

    def handle_int(self) -> None:
        log.info("stopping at once")
        if not self._gave_way:
            notify.stopping()
        self._end("stop", STOP_GRACE)

    def handle_hup(self) -> None:
        if self._ending:
            log.info("signal HUP: nothing is reloaded at the end, ignored")
        elif self._succession.running:
            self._reload_missed = True  # the successor may have read the configuration before it was changed
        else:
            self._steward.reload()

    def handle_usr1(self) -> None:
        self._rollout.reopen_access_log()

    def handle_usr2(self) -> None:
        if self._ending:
            log.info("signal USR2: nothing is begun at the end, ignored")
        else:
            self._succession.ask(lambda _accepted, _message="": None)

    def handle_ttin(self) -> None:
        self._crew.set(self._crew.wanted + 1)

    def handle_ttou(self) -> None:
        self._crew.set(self._crew.wanted - 1)

    # Hot restart

    def _may_upgrade(self) -> bool:
        return self._ready and self._rollout.settled() and self._table.quiet and not self._steward.busy

    def _estate(self) -> Estate:
        mine = {**self._holdings.facts(), "pid": os.getpid()}
        return Estate(
            {**self._bequest.facts, **mine},
            {**self._bequest.descriptors, **self._holdings.descriptors()},
            self._table.handed_on(),
            self._rollout.health(),
        )

    def _give_way(self, pid: int, unserved: list[int]) -> None:
        """The successor serves: this process lets go of what it has alone, and drains."""
        self._holdings.hand_over()
        self._crew.part(unserved)
        self._gave_way = True
        self._succession.release()
        if self._reload_missed:
            os.kill(pid, signal.SIGHUP)
        log.info("hot restart: process %d serves; draining, for at most %d s", pid, self._settings.shutdown_timeout)
        self._drain()

    def _on_upgrade_failed(self) -> None:
        if self._reload_missed and not self._ending:
            self._reload_missed = False
            self._steward.reload()

    # The end

    def _drain(self) -> None:
        seconds = self._settings.shutdown_timeout
        self._end("drain", seconds + DRAIN_GRACE, seconds=seconds)

    def _end(self, kind: str, within: float, **fields: float) -> None:
        self._ending = True
        self._succession.abort()
        self._fleet.dismiss(kind, within, **fields)
        self._steward.dismiss(within)
        # Now, not at the end: the kernel keeps giving connections to a socket for as long as one copy is open.
        self._rollout.close()
        self._table.close_all()
