"""The limit on open files: every connection takes two descriptors, so the soft limit goes up to the hard one."""

from __future__ import annotations

import resource
from contextlib import suppress

MASTER_FILES = 24  # open files of the master besides a channel and the sockets of each worker
WORKER_FILES = 40  # of a worker besides its sockets, its first connection included


def open_files_needed(workers: int, sockets: int) -> int:
    """The least with which the master can hold so many sockets for each worker, and a worker one connection."""
    return max(workers * (sockets + 1) + MASTER_FILES, sockets + WORKER_FILES)


def open_files() -> int:
    """The limit that holds for this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_open_files() -> tuple[int, int]:
    """Raises RLIMIT_NOFILE as far as this process may; the (soft, hard) limits that hold now.  Never raises."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A hard limit above fs.nr_open cannot be taken; the soft one then stays as it was.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)
