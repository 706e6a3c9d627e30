"""Signals become bytes on a socket that the master's loop reads; no handler does any work.

CPython itself writes the number of each arriving signal to the wakeup descriptor, from C.  The Python handlers
exist only because a signal needs one for that to happen.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

NAMES: dict[int, str] = {
    signal.SIGTERM: "term",
    signal.SIGQUIT: "quit",
    signal.SIGINT: "int",
    signal.SIGHUP: "hup",
    signal.SIGUSR1: "usr1",
    signal.SIGUSR2: "usr2",
    signal.SIGTTIN: "ttin",
    signal.SIGTTOU: "ttou",
    signal.SIGCHLD: "chld",
}

# A terminal's Ctrl-C and Ctrl-\ reach the whole foreground group, and the others are the master's to interpret.
_NOT_FOR_WORKERS = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGPIPE,
)

_Handler = Callable[[int, FrameType | None], object] | int | None


class SignalQueue:
    """Between `install` and `close`, signals in NAMES wait in a socket until `read`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._previous: dict[int, _Handler] = {}
        self._previous_wakeup = -1

    def install(self) -> None:
        """Takes the signals over.  Main thread only."""
        self._previous_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in NAMES:
            self._previous[number] = signal.signal(number, _nothing)
        self._previous[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        # Some supervisors start their services with signals blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NAMES)

    def fileno(self) -> int:
        """Readable when signals wait."""
        return self._reader.fileno()

    def read(self) -> list[str]:
        """The names of the signals that came, in order."""
        numbers = bytearray()
        with suppress(BlockingIOError):
            while data := self._reader.recv(4096):
                numbers += data
        return [NAMES[number] for number in numbers if number in NAMES]

    def close(self) -> None:
        """Puts back what `install` found, but for signals to end: the process is ending, once is enough."""
        if self._previous:
            signal.set_wakeup_fd(self._previous_wakeup)
        for number, handler in self._previous.items():
            ends = number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
            signal.signal(number, signal.SIG_IGN if ends else signal.SIG_DFL if handler is None else handler)
        self._previous.clear()
        self.disinherit()

    def disinherit(self) -> None:
        """Closes the sockets only: for a forked child, where `restore_defaults` sees to the rest."""
        self._reader.close()
        self._writer.close()


def restore_defaults() -> None:
    """For a freshly forked worker: deaf to what is meant for the master, default for TERM and CHLD."""
    signal.set_wakeup_fd(-1)
    for number in _NOT_FOR_WORKERS:
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass
