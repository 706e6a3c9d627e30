"""The limit on open files: every connection takes two descriptors, so the soft limit goes up to the hard one."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_open_files() -> tuple[int, int]:
    """Raises RLIMIT_NOFILE as far as this process may; the (soft, hard) limits that hold now.  Never raises."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A hard limit above fs.nr_open cannot be taken; the soft one then stays as it was.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)
