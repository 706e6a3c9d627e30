"""`--daemon`: the program goes to the background, and the command returns when it serves or has failed.

The first process waits at a pipe and leaves with what arrives there: 0 when every worker accepts, else the exit
code of the failed start.  Until then messages still reach the terminal.  The pipe's end is the answer when the
daemon dies without one.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

import click

_DIED = 1


class Launch:
    """The daemon's end of the pipe."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    def ready(self) -> None:
        """Lets the waiting command succeed, and leaves its terminal."""
        _leave_terminal()
        self.report(0)

    def report(self, code: int) -> None:
        """Lets it leave with `code`.  Only the first report counts."""
        if self._writer < 0:
            return
        with suppress(OSError):
            os.write(self._writer, bytes([code]))
        self.close()

    def leave(self) -> None:
        """For a child of the daemon: who waits for the output of the command must not wait for it."""
        _leave_terminal()
        self.close()

    def close(self) -> None:
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1


def detach() -> Launch:
    """Returns in the daemon only; the first process ends in here.  Make paths absolute before."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        sys.exit(_await(reader))
    os.close(reader)
    os.setsid()
    if os.fork():  # the daemon must not lead the session, or it could be given a terminal again
        os._exit(0)
    os.chdir("/")
    return Launch(writer)


def _await(reader: int) -> int:
    answer = os.read(reader, 1)
    if not answer:
        click.echo("fastnlb: the daemon died before it was ready", err=True)
        return _DIED
    return answer[0]


def _leave_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        # A file is no terminal, and whoever redirected standard error into one wants the log there.
        if fd == 2 and stat.S_ISREG(os.fstat(2).st_mode):
            continue
        os.dup2(nothing, fd)
    if nothing > 2:
        os.close(nothing)
