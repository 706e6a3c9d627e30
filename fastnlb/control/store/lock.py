"""The right to write a state directory: one process has it, until it ends, and its process id stands in the file."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from fastnlb.control.store.errors import StoreBusy

LOOK_AGAIN = 0.02  # seconds
_WIDTH = 20  # always the same, so that another name takes no more space
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Lock:
    """The lock at `path`; `acquire` it as often as it takes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    @property
    def held(self) -> bool:
        return self._descriptor >= 0

    def acquire(self, patience: float = 0.0) -> None:
        """Within `patience` seconds or not at all.  Raises StoreBusy, which names the holder, and OSError."""
        deadline = time.monotonic() + patience
        while not self.held:
            try:
                self._try()
            except StoreBusy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(LOOK_AGAIN)

    def _try(self) -> None:
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, _WIDTH, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"process {holder}" if holder.isdecimal() else "another process"
            raise StoreBusy(f"{self._path.parent} is in use by {who}: one daemon writes a state directory") from None
        except OSError:
            os.close(descriptor)
            raise
        with suppress(OSError):  # a disk without space for a name is locked all the same
            os.pwrite(descriptor, f"{os.getpid():<{_WIDTH}}".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self.held:
            os.close(self._descriptor)
            self._descriptor = -1
