"""What /proc says of a proxy: processor time and resident memory over all its processes.

The time of a process or thread that has ended before the second reading is lost, so readings enclose work during
which none ends.  ProcessGoneError is raised for a proxy that is no more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fastnlb.procstat import is_alive


class ProcessGoneError(Exception):
    """The proxy has ended."""


def family(pid: int) -> Iterator[int]:
    """A process and all its descendants; those that end meanwhile are left out."""
    yield pid
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def threads(pid: int) -> list[int]:
    """Of a process and all its descendants."""
    return [int(task.name) for member in family(pid) for task in _tasks(member)]


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def processor_ns(pid: int) -> int:
    """So far, in ns.  Raises ProcessGoneError."""
    _demand(pid)
    total = 0
    for member in family(pid):
        for task in _tasks(member):
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total


def resident_bytes(pid: int) -> int:
    """Pages shared by processes are counted once (Pss) where the kernel lets us see that, else Rss.

    Raises ProcessGoneError.
    """
    _demand(pid)
    return sum(_resident(member) for member in family(pid))


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(each.split()[1]) for each in lines if each.startswith("Pss:")) << 10
    except (OSError, StopIteration):
        return _rss(pid)


def _rss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/status").read_text().splitlines():
            if each.startswith("VmRSS:"):
                return int(each.split()[1]) << 10
    return 0


def _demand(pid: int) -> None:
    if not is_alive(pid):
        raise ProcessGoneError(f"process {pid} has ended")
