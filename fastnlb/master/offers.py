"""What is sent to workers for a Snapshot, and what of it follows from the sockets and cells there are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from fastnlb.master.listen import CannotListen
from fastnlb.model import Cells, Front, Snapshot, SocketKey


@dataclass(frozen=True, slots=True)
class Sent:
    """A Snapshot as it is sent: the memfd is made once, for all workers and later heirs.  -1: no access log."""

    generation: int
    snapshot: Snapshot
    fronts: dict[str, Front]
    cells: Cells
    payload: int
    access_log: int

    def close(self) -> None:
        for descriptor in (self.payload, self.access_log):
            if descriptor >= 0:
                os.close(descriptor)


def check_limits(snapshot: Snapshot, cells: Cells) -> None:
    """A limit over all workers is kept on the board; without a cell it would be none, and nobody would know."""
    for listener in snapshot.active_listeners():
        if (listener.cps or listener.max_connections) and cells.listeners.get(listener.name, -1) < 0:
            reason = "the shared board is full, and cps and max_connections need a place on it"
            raise CannotListen(listener.name, listener.address, listener.port, reason)


def ports_of_ranges(snapshot: Snapshot, row: Iterable[SocketKey]) -> dict[str, tuple[int, ...]]:
    ports: dict[str, list[int]] = {each.name: [] for each in snapshot.active_listeners() if each.last_port}
    for name, port in row:
        if name in ports:
            ports[name].append(port)
    return {name: tuple(each) for name, each in ports.items()}
