"""What can go wrong with a state directory, as one line that a person can act on; and how others say it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
SCARCE_BYTES = 128 * 1024  # with less than that left a failed write is for lack of space, whatever else it is called


class StoreError(Exception):
    """The store cannot do it, and nothing has changed."""


class StateDirError(StoreError):
    """The state directory cannot be had: no permission, somebody else's, not a state directory."""


class StoreBusy(StateDirError):  # noqa: N818 - reads as what it says
    """Another process writes this state directory.  It can be had when that has ended."""


class StoreFull(StoreError):  # noqa: N818 - reads as what it says
    """No space is left on the device.  Once there is some, the store works as before."""


class StoreConflict(StoreError):  # noqa: N818 - reads as what it says
    """The change was made for another state than the present one."""


class NoSuchRevision(StoreError):  # noqa: N818 - reads as what it says
    """There never was one of that number, or it is not kept any more."""


@contextmanager
def translated(place: Path) -> Iterator[None]:
    """What SQLite or the system has against `place` is raised as a StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _of_sqlite(error, place) from error
    except OSError as error:
        raise _of_system(error, place) from error


def _of_sqlite(error: sqlite3.Error, place: Path) -> StoreError:
    name: str = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL" or (name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _scarce(place)):
        return _no_space(place)
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreError(f"{place} is damaged ({error}): put a copy of the state directory in its place")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy(f"{place} is held by another program: let go of it, and try again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StateDirError(f"{place} cannot be opened for writing: {error}")
    return StoreError(f"{place}: {error}")


def _of_system(error: OSError, place: Path) -> StoreError:
    if error.errno in NO_SPACE:
        return _no_space(place)
    where = error.filename if isinstance(error.filename, str) and error.filename.startswith("/") else place
    return StateDirError(f"{where}: {error.strerror or error}")


def _no_space(place: Path) -> StoreFull:
    return StoreFull(f"no space is left for {place}: nothing has changed")


def _scarce(place: Path) -> bool:
    try:
        about = os.statvfs(place.parent)
    except OSError:
        return False
    return about.f_bavail * about.f_frsize < SCARCE_BYTES
