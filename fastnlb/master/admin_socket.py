"""The admin socket: where commands reach the daemon.  The master owns it, the control process answers.

Listening from the start of the daemon to its end, whoever serves it meanwhile: a request made while the control
process is between two lives waits in the queue.  Only this user and root may connect (mode 0600).

The folder's pid file is locked for as long (`guard`), so that a socket without a daemon is known to be stale.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from fastnlb.master.pidfile import PidFile

BACKLOG = 64
LONGEST_PATH = 107  # bytes; sun_path


class AdminSocketError(Exception):
    """The socket cannot be had; the message says why."""


class AdminSocket:
    """`open` binds, `close` removes.  `guard` locks the folder, when the daemon's pid file does not."""

    def __init__(self, path: Path, guard: PidFile | None = None) -> None:
        self.path = path
        self._guard = guard
        self._socket: socket.socket | None = None
        self._owner = 0

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def listening(self) -> socket.socket:
        """Borrowed; only between `open` and `close`."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        return self._socket

    def open(self) -> None:
        """Raises AdminSocketError or PidFileError."""
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            reason = f"the path is longer than {LONGEST_PATH} bytes: set run_dir to a shorter one"
            raise AdminSocketError(f"cannot make the admin socket {self.path}: {reason}")
        if self._guard is not None:
            self._guard.acquire()
        try:
            self._bind()
        except OSError as error:
            raise AdminSocketError(f"cannot make the admin socket {self.path}: {error.strerror or error}") from error

    def take_over(self, descriptor: int) -> None:
        """It is open already, and was handed to us; `confirm` makes it ours to remove."""
        self._socket = socket.socket(fileno=descriptor)

    def confirm(self, predecessor: int) -> None:
        """The predecessor has let go of it.  Raises PidFileError."""
        self._owner = os.getpid()
        if self._guard is not None and not self._guard.held:
            self._guard.acquire(predecessor)

    def hand_over(self) -> None:
        """Somebody else has it now, and will remove it: `close` only lets go."""
        self._owner = 0
        if self._guard is not None:
            self._guard.hand_over()

    def close(self) -> None:
        """Removes the socket, if it is still ours.  Idempotent."""
        if self._socket is not None and self._owner == os.getpid():
            with suppress(OSError):
                self.path.unlink()
        if self._guard is not None:
            self._guard.release()  # first: it is removed by who holds it
        self.disinherit()

    def disinherit(self) -> None:
        """Lets go of the descriptors only: in a forked child."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._guard is not None:
            self._guard.disinherit()

    def _bind(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(FileNotFoundError):
                if not stat.S_ISSOCK(self.path.lstat().st_mode):
                    raise FileExistsError(0, "there is something in its place that is no socket")
                self.path.unlink()
            before = os.umask(0o177)
            try:
                sock.bind(os.fspath(self.path))
            finally:
                os.umask(before)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        self._socket, self._owner = sock, os.getpid()
