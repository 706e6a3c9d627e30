"""What the kernel says of the daemon's processes: processor time, memory, descriptors, threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import psutil

from fastnlb.control.prometheus import Sample, Value, block, labelled
from fastnlb.stats.families import BY_NAME

_LABELS = ("role", "pid")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return round(float(times.user + times.system), 2)


_FIGURES: dict[str, Callable[[psutil.Process], Value]] = {
    "process_cpu_seconds_total": _cpu_seconds,
    "process_resident_memory_bytes": lambda process: int(process.memory_info().rss),
    "process_open_fds": lambda process: int(process.num_fds()),
    "process_threads": lambda process: int(process.num_threads()),
    "process_start_time_seconds": lambda process: float(process.create_time()),
}


def process_lines(state: Mapping[str, Any]) -> Iterator[str]:
    """Of the processes that the master told of, and of this one.  One that has just ended is left out, and so is
    what this process may not look at.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in _FIGURES}
    for role, pid in _processes(state):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            labels = labelled(_LABELS, (role, str(pid)))
            with process.oneshot():
                for name, figure in _FIGURES.items():
                    with suppress(psutil.AccessDenied):
                        samples[name].append((labels, figure(process)))
    for name, found in samples.items():
        yield from block(BY_NAME[name], found)


def _processes(state: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if state.get("pid"):
        yield "master", state["pid"]
    yield "control", os.getpid()
    yield from (("worker", worker["pid"]) for worker in state.get("workers", ()))
    yield from (("draining", process["pid"]) for process in state.get("draining", ()))
