"""Proxies and probers before whatever else wants a processor, for the length of a measurement and for those who may.

Never while a process starts or ends: a real-time task that waits in the kernel for what an ordinary one on its
processor is in the middle of (the entries of /proc of a child that has ended) waits for ever.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench import procfs

MOST_URGENT = -20


@contextlib.contextmanager
def first(pids: Sequence[int], real_time: bool) -> Iterator[None]:
    """All threads of these processes and their descendants: as real-time tasks, or else by niceness."""
    raise_one, lower_one = (_real_time, _ordinary) if real_time else (_urgent, _patient)
    try:
        _each(pids, raise_one)
        yield
    finally:
        _each(pids, lower_one)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """This thread runs as soon as it has something to do."""
    with contextlib.suppress(PermissionError):
        _real_time(0)
    try:
        yield
    finally:
        _ordinary(0)


def _each(pids: Iterable[int], change: Callable[[int], None]) -> None:
    for thread in [thread for pid in pids for thread in procfs.threads(pid)]:
        with contextlib.suppress(PermissionError, ProcessLookupError):
            change(thread)


def _real_time(thread: int) -> None:
    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))


def _ordinary(thread: int) -> None:
    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _urgent(thread: int) -> None:
    os.setpriority(os.PRIO_PROCESS, thread, MOST_URGENT)


def _patient(thread: int) -> None:
    os.setpriority(os.PRIO_PROCESS, thread, 0)
