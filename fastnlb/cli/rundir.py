"""Where a daemon keeps what belongs to it while it runs, and how commands find it.

    BASE            $XDG_RUNTIME_DIR/fastnlb, else fastnlb-UID in the folder for temporary files; private to the user
    BASE/PID        the run_dir of the daemon with that process id: a symbolic link
    BASE/PID.d      the run_dir of one whose configuration names none

Entries of processes that are gone are cleared by whoever finds them.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PID_FILE = "fastnlb.pid"
ADMIN_SOCKET = "admin.sock"


class RunDirError(Exception):
    """There is no run_dir to be had, or no daemon to be found; the message says why."""


class RunDir:
    """The folder of one daemon, which is this process; from `claim` to `forget`."""

    def __init__(self, path: Path, entry: Path, admin_socket: str) -> None:
        self.path = path
        self.admin = path / admin_socket
        self._entry = entry

    def forget(self) -> None:
        """It is over.  A folder that was made for this daemon goes with it, when nobody else has taken it over."""
        with suppress(OSError):
            self._entry.unlink()
        if self.path.parent == self._entry.parent and not _claimed(self.path):
            shutil.rmtree(self.path, ignore_errors=True)


def claim(configured: str | None, admin_socket: str = ADMIN_SOCKET, inherited: Path | None = None) -> RunDir:
    """The run_dir for this process: as `configured`, `inherited` from a predecessor, or one of its own.

    Raises RunDirError.
    """
    try:
        base = _base()
        _sweep(base)
        path = Path(configured) if configured is not None else inherited or base / f"{os.getpid()}.d"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = base / str(os.getpid())
        entry.unlink(missing_ok=True)
        entry.symlink_to(path)
    except OSError as error:
        where = configured if configured is not None else error.filename
        raise RunDirError(f"cannot make the folder {where}: {error.strerror or error}") from error
    # Commands look for the usual name.
    _link_socket(path, admin_socket)
    return RunDir(path, entry, admin_socket)


def find(pid_file: Path | None, admin: Path | None) -> Path:
    """The admin socket of the daemon that is meant.  Raises RunDirError."""
    if admin is not None:
        return admin
    try:
        base = _base()
    except OSError as error:
        raise RunDirError(f"no daemon was found: {error.strerror or error}") from error
    if pid_file is not None:
        return base / _pid_in(pid_file) / ADMIN_SOCKET
    _sweep(base)
    running = sorted(entry.name for entry in base.iterdir() if entry.name.isdecimal())
    if not running:
        raise RunDirError("no daemon of this user is running: name one with --pid-file or --admin")
    # The two processes of a hot restart are one daemon: they share a folder.
    if len({(base / name).resolve() for name in running}) > 1:
        raise RunDirError(f"several daemons are running ({', '.join(running)}): say which with --pid-file or --admin")
    return base / running[0] / ADMIN_SOCKET


def _base() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and os.access(runtime, os.W_OK | os.X_OK):
        base = Path(runtime) / "fastnlb"
    else:
        base = Path(tempfile.gettempdir()) / f"fastnlb-{os.geteuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    about = base.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise PermissionError(0, f"{base} must be a folder of this user's with mode 0700", str(base))
    return base


def _link_socket(path: Path, admin_socket: str) -> None:
    """The link from the usual name to another one; of an earlier daemon there may be one that is in the way."""
    with suppress(OSError):
        link = path / ADMIN_SOCKET
        if link.is_symlink():
            link.unlink()
        if admin_socket != ADMIN_SOCKET:
            link.symlink_to(admin_socket)


def _sweep(base: Path) -> None:
    for entry in base.iterdir():
        pid = entry.name.removesuffix(".d")
        if not pid.isdecimal() or _lives(int(pid)):
            continue
        if entry.is_symlink():
            entry.unlink(missing_ok=True)
        elif not _claimed(entry):
            shutil.rmtree(entry, ignore_errors=True)


def _claimed(path: Path) -> bool:
    """Whether the entry of a living process leads to `path`."""
    return any(
        entry.is_symlink() and entry.readlink() == path and _lives(int(entry.name))
        for entry in path.parent.iterdir()
        if entry.name.isdecimal()
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _pid_in(pid_file: Path) -> str:
    try:
        text = pid_file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no process id"
        raise RunDirError(f"cannot read the pid file {pid_file}: {reason}") from error
    if not text.isdecimal():
        raise RunDirError(f"the pid file {pid_file} holds no process id")
    return text
