"""A file system of a few hundred KiB, which a test can fill; for this process alone: a child of the test's."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def small_disk(path: Path, kib: int) -> None:
    """Mounts it at `path`, where nobody else sees it."""
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
    _check(_libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, f"size={kib}k".encode()), "mount")


def fill(path: Path, leave: int) -> None:
    """A file that takes what is there, but for `leave` bytes."""
    about = os.statvfs(path.parent)
    path.write_bytes(b"x" * max(0, about.f_bavail * about.f_frsize - leave))


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)
