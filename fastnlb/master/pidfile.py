"""The pid file: names the one master that runs with it.

The master holds a lock (flock) on the file for its life, so a file without a lock is stale, whatever process
has that number by now.  One written by a program that takes no lock counts as live when its process is older
than the file; a younger one merely got the number again.
Readers never see half a file: it is written under another name and then moved into place.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from fastnlb.procstat import START_TIME, STATE, process_stat

_CLOCK_SLACK = 2.0  # seconds: process start times are counted in ticks since boot


LONGEST_FILE = 32  # bytes; a pid and a line end


class PidFileError(Exception):
    """The pid file is held by a live process, or cannot be written; the message says which."""


class PidFile:
    """Taken with `acquire`, given back with `release`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._fd = -1
        self._owner = 0
        self._predecessor = 0

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def acquire(self, predecessor: int = 0) -> None:
        """Writes our pid, in place of a stale one or that of our predecessor.  Raises PidFileError."""
        self._predecessor = predecessor
        try:
            while self._fd < 0:
                self._fd = self._try_acquire()
        except OSError as error:
            raise PidFileError(f"cannot write the pid file {self.path}: {error.strerror}") from error
        self._owner = os.getpid()

    def release(self) -> None:
        """Removes the file if it is still the one we wrote, and lets go of it.  Idempotent."""
        if self._fd >= 0 and self._owner == os.getpid() and _is_at(self._fd, self.path):
            with suppress(OSError):
                self.path.unlink()
        self.disinherit()

    def hand_over(self) -> None:
        """Lets go of the file as it stands: our successor writes its own in its place."""
        self.disinherit()

    def disinherit(self) -> None:
        """Closes our descriptor without removing anything: for a forked child, or the lock would outlive us."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _try_acquire(self) -> int:
        """The locked descriptor of the file in place, or -1 when the file changed under us: try again."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fd = _write_locked(draft)
        try:
            placed = self._place(draft)
        except BaseException:
            os.close(fd)
            raise
        finally:
            draft.unlink(missing_ok=True)
        if placed:
            return fd
        os.close(fd)
        return -1

    def _place(self, draft: Path) -> bool:
        try:
            old = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            if self.path.is_symlink():  # in the way of a link, and of no use to a reader
                raise PidFileError(f"{self.path} is a link that leads nowhere: remove it, or name another") from None
            # link, not rename: it fails when another process was quicker.
            with suppress(FileExistsError):
                os.link(draft, self.path)
                return True
            return False
        try:
            return self._replace(old, draft)
        finally:
            os.close(old)

    def _replace(self, old: int, draft: Path) -> bool:
        try:
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PidFileError(self._taken(_read_pid(old))) from None
        if not _is_at(old, self.path):
            return False
        if not _looks_like_one(old):
            raise PidFileError(f"{self.path} is there and is no pid file: it is left alone, name another")
        pid = _read_pid(old)
        if pid and pid not in (os.getpid(), self._predecessor) and _older_than_file(pid, os.fstat(old).st_mtime):
            raise PidFileError(self._taken(pid))
        draft.replace(self.path)
        return True

    def _taken(self, pid: int) -> str:
        return f"already running as process {pid or '(not yet written)'} (pid file {self.path})"


def _write_locked(path: Path) -> int:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(fd, f"{os.getpid()}\n".encode("ascii"))
    return fd


def _is_at(fd: int, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def _looks_like_one(fd: int) -> bool:
    """Not a device, not somebody's data: replacing those would be a disaster for a mistyped option."""
    about = os.fstat(fd)
    return stat.S_ISREG(about.st_mode) and about.st_size <= LONGEST_FILE


def _read_pid(fd: int) -> int:
    """The pid in a file; 0 for anything that is not one."""
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _older_than_file(pid: int, written: float) -> bool:
    """Whether process `pid` lives and existed when a file was written at `written`."""
    about = process_stat(pid)
    if not about:
        return False
    started = _boot_time() + int(about[START_TIME]) / os.sysconf("SC_CLK_TCK")
    return about[STATE] not in ("Z", "X") and started <= written + _CLOCK_SLACK


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
