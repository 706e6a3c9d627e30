"""One child process, a worker or control: how it is forked, what it is given, how it ends.

The child keeps nothing of the master but its end of the channel and the standard streams.  What it runs is a
callable the master was given: this package knows no code of theirs.  There is no PR_SET_PDEATHSIG: a worker sees
its master's death as end of file on the channel, and drains instead of dropping its connections.
"""

from __future__ import annotations

import enum
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from fastnlb.channel import Channel, channel_pair
from fastnlb.hardening import PR_SET_NAME, prctl
from fastnlb.master.signals import restore_defaults
from fastnlb.model import SocketKey

WORKER_DONE = 0  # drained or stopped
WORKER_REFUSED = 3  # cannot boot, and would not the next time either: fails a start
WORKER_CRASHED = 70  # an exception got out (EX_SOFTWARE)

log = logging.getLogger("fastnlb.master")


@dataclass(frozen=True, slots=True)
class Seat:
    """A child's place: what its main function gets."""

    index: int
    channel: Channel
    row: int  # of the shared counter page and the board; a worker's, and no other living one has it


WorkerMain = Callable[[Seat], int]


@dataclass(frozen=True, slots=True)
class Role:
    """What children of one kind are called, by their index: in the log, and in ps (15 characters)."""

    name: str
    title: str


WORKER = Role("worker {}", "fastnlb:w{}")
CONTROL = Role("control", "fastnlb:control")


class State(enum.Enum):
    """Of a child as the master sees it."""

    BOOTING = "booting"
    PREPARING = "preparing"
    SERVING = "serving"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Worker:
    """The master's record of one process."""

    pid: int
    index: int
    name: str
    channel: Channel
    started_at: float
    row: int
    state: State = State.BOOTING
    serving_since: float | None = None
    generation: int = 0  # applied
    offered: int = 0  # sent with `prepare`, not yet applied or rolled back
    holds: dict[SocketKey, socket.socket] = field(
        default_factory=dict
    )  # the master's copies of its listening sockets
    staged: dict[SocketKey, socket.socket] = field(default_factory=dict)  # the same, once `offered` is committed
    kill_at: float | None = None
    booted: bool = False
    answer_by: float | None = None  # a frame was sent that it has to answer
    retired: bool = False  # it has no seat any more and drains; its index may be another's


def spawn(index: int, row: int, role: Role, main: WorkerMain, disinherit: Callable[[], None]) -> Worker:
    """Forks a child.  `disinherit` runs in the child and closes what is the master's.  Raises OSError."""
    ours, theirs = channel_pair()

    def leave_master() -> None:
        ours.close()
        disinherit()

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()  # or the child writes the same text again
    # Until the child has its own dispositions, a signal in it would be written into the master's queue.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _become(Seat(index, theirs, row), role, main, leave_master, mask)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    return Worker(pid, index, role.name.format(index), ours, time.monotonic(), row)


def dead_children() -> Iterator[tuple[int, int]]:
    """Reaps; the (pid, wait status) of each.  Strangers too: as process 1 of a container we inherit orphans."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def await_end(pid: int, seconds: float) -> None:
    """Waits until a child has ended, for so long at most; it is not reaped.  Raises OSError."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(descriptor)


def set_title(title: str) -> None:
    """Names this process for ps and top (15 characters)."""
    # Not by /proc/self/comm: it is root's once this process may not be dumped.
    with suppress(OSError):
        prctl(PR_SET_NAME, title.encode("ascii"))


def describe_exit(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, core dumped" if os.WCOREDUMP(status) else name


def _become(
    seat: Seat, role: Role, main: WorkerMain, leave_master: Callable[[], None], mask: set[int | signal.Signals]
) -> NoReturn:
    """The child's whole life.  Never returns and never raises: above us on the stack is the master's loop."""
    code = WORKER_CRASHED
    try:
        restore_defaults()
        leave_master()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        set_title(role.title.format(seat.index))
        code = main(seat)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException as error:
        _report(seat, role.name.format(seat.index), error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code & 0xFF if isinstance(code, int) else WORKER_CRASHED)
    raise AssertionError("unreachable")


def _report(seat: Seat, name: str, error: BaseException) -> None:
    """Tells the master's log, in one line, what ended this process; our own stderr may be /dev/null."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = "" if last is None else f" at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"
    line = " ".join(f"{type(error).__name__}: {error}{place}".split())
    try:
        seat.channel.send("notice", level="error", message=line)
    except Exception:
        with suppress(Exception):
            log.error("%s: %s", name, line)
