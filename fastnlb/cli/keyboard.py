"""Keys of a terminal one by one, without echo; the terminal is as it was at the end, however that comes."""

from __future__ import annotations

import os
import select
import signal
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SUSPEND = "\x1a"  # Ctrl-Z
_MOST = 32  # bytes of what was typed at once; an arrow key is three


class Keyboard:
    """The keys of the terminal `fd`; from `open_keyboard`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def wait(self, seconds: float) -> str:
        """The next key, "" when there is none within `seconds` or it is none that types something."""
        readable, _, _ = select.select([self._fd], [], [], max(seconds, 0.0))
        if not readable:
            return ""
        raw = os.read(self._fd, _MOST)
        if not raw:
            raise EOFError
        return raw.decode("ascii", "replace") if len(raw) == 1 else ""


@contextmanager
def open_keyboard(fd: int) -> Iterator[Keyboard]:
    """For the length of a block.  TERM and HUP end it by SystemExit, so that the terminal is put right.

    Ctrl-Z is a key, because whoever has drawn on the terminal has to clear up first.
    """
    was = termios.tcgetattr(fd)
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setcbreak(fd, termios.TCSANOW)
        mode = termios.tcgetattr(fd)
        mode[6][termios.VSUSP] = b"\0"  # _POSIX_VDISABLE
        termios.tcsetattr(fd, termios.TCSANOW, mode)
        yield Keyboard(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, was)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def suspend() -> None:
    """Stops this job as Ctrl-Z does; returns when it goes on."""
    os.kill(0, signal.SIGTSTP)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
