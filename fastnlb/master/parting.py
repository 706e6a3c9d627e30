"""Listening sockets that are going: the master closes its copies when no worker accepts on them any more.

Closing the last copy of a socket ends it, and resets what is queued there; a copy that is closed too early makes the
socket one that this process does not know of, and finds in its way.  So each batch has the workers that held it, and
is closed when each of them has said `parted` with that generation or a later one, or is dead.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastnlb.master.process import Worker


@dataclass(frozen=True, slots=True)
class _Batch:
    generation: int
    sockets: list[socket.socket]
    holders: set[Worker]


class Partings:
    """`close` is given the sockets of a batch that is over."""

    def __init__(self, close: Callable[[list[socket.socket]], None]) -> None:
        self._close = close
        self._batches: list[_Batch] = []

    def begin(self, generation: int, sockets: list[socket.socket], workers: Iterable[Worker]) -> None:
        """They went with this generation: whoever holds one of them, or is about to, will say when that is over."""
        going = set(sockets)
        holders = {
            w for w in workers if not (going.isdisjoint(w.holds.values()) and going.isdisjoint(w.staged.values()))
        }
        self._batches.append(_Batch(generation, sockets, holders))
        self._end()

    def parted(self, worker: Worker, generation: int) -> None:
        for batch in self._batches:
            if batch.generation <= generation:
                batch.holders.discard(worker)
        self._end()

    def gone(self, worker: Worker) -> None:
        for batch in self._batches:
            batch.holders.discard(worker)
        self._end()

    def _end(self) -> None:
        over = [batch for batch in self._batches if not batch.holders]
        self._batches = [batch for batch in self._batches if batch.holders]
        for batch in over:
            self._close(batch.sockets)
