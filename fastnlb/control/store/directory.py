"""The state directory itself: made, taken over or refused.

    STATE/               0700, of the user that the control process runs as
    STATE/fastnlb.db     0600, SQLite (with -wal and -shm beside it)
    STATE/lock           held by the one process that writes
    STATE/material/      0700, certificates and keys

Who owns the directory owns what is in it.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from fastnlb.control.store.errors import StateDirError, translated
from fastnlb.privileges import Identity

DATABASE = "fastnlb.db"
LOCK = "lock"
MATERIAL = "material"

_OURS = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", LOCK, MATERIAL}
_OF_THE_FILE_SYSTEM = {"lost+found"}
_ROOT = Identity(0, 0, ())


def prepare(path: Path, who: Identity | None = None) -> None:
    """Makes the directory, or makes sure that it can be one.  Raises StateDirError or StoreFull.

    Root gives a new one, an empty one and one of its own to `who` (None: keeps it).
    """
    with translated(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _check_content(path, folder)
            _own(path, folder, (who or _ROOT) if os.geteuid() == 0 else None)
            if os.fstat(folder).st_mode & 0o777 != 0o700:
                os.fchmod(folder, 0o700)
        finally:
            os.close(folder)


def _check_content(path: Path, folder: int) -> None:
    found = set(os.listdir(folder)) - _OF_THE_FILE_SYSTEM
    if found and DATABASE not in found and not found <= _OURS:
        raise StateDirError(f"{path} is neither empty nor a state directory: name another one")


def _own(path: Path, folder: int, heir: Identity | None) -> None:
    owner = os.fstat(folder).st_uid
    wanted = os.geteuid() if heir is None else heir.uid
    if owner == wanted:
        return
    if heir is None or owner != 0:  # what a third one has put there is not handed on
        raise StateDirError(f"{path} belongs to {_name(owner)}, not to {_name(wanted)}: change its owner, or `user`")
    for name in _OURS & set(os.listdir(folder)):
        os.chown(name, heir.uid, heir.gid, dir_fd=folder, follow_symlinks=False)
        if name == MATERIAL:
            _give_all(folder, name, heir)
    os.fchown(folder, heir.uid, heir.gid)  # last: until then a second try begins anew


def _give_all(folder: int, name: str, heir: Identity) -> None:
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for each in os.listdir(inner):  # noqa: PTH208 - of a descriptor
            os.chown(each, heir.uid, heir.gid, dir_fd=inner, follow_symlinks=False)
    finally:
        os.close(inner)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
