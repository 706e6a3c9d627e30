"""Opening what the access log is written to: by the master, which may; workers are handed the descriptor.

A file is appended to, and made with mode 0640 (less the umask).  The descriptor of anything that may have to wait for
a reader does not wait.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from fastnlb.model import STDOUT

_FLAGS = os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MODE = 0o640


class CannotLog(OSError):  # noqa: N818 - reads as what it says, like CannotListen
    """The access log cannot be opened; the message says why, in one line."""


def open_access_log(where: str | None) -> int:
    """A descriptor for an absolute path or `stdout`; -1 for None.  Raises CannotLog."""
    if where is None:
        return -1
    try:
        return _open_stdout() if where == STDOUT else _open_path(where)
    except OSError as error:
        raise CannotLog(f"access log {where}: {error.strerror or error}") from error


def _open_path(path: str) -> int:
    # Not through a link: whoever may write to the folder could have this process write anywhere.
    flags = _FLAGS | os.O_NOFOLLOW | (os.O_RDWR if _is_pipe(path) else os.O_WRONLY | os.O_CREAT)
    if Path(path).is_symlink():
        raise OSError(0, "is a symbolic link; name the file itself")
    return os.open(path, flags, _MODE)


def _is_pipe(path: str) -> bool:
    """A named pipe is opened for both, so that its reader may come later, and leave and come again."""
    with suppress(OSError):
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    return False


def _open_stdout() -> int:
    """Anew where that can be, so that it does not wait for a reader and others who have it wait as before."""
    if os.path.samestat(os.fstat(1), Path(os.devnull).stat()):
        raise OSError(0, "leads nowhere in this daemon; name a file")
    if not stat.S_ISREG(os.fstat(1).st_mode):
        with suppress(OSError):
            return os.open("/proc/self/fd/1", _FLAGS | os.O_WRONLY)
    return os.dup(1)
