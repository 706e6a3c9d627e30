"""Which cell of the shared board each server and listener has, for as long as it is configured.

A cell stays with its server (of a group, by address and port) or listener (by name) across changes.  One that was
given up is given out again only when it has rested and no connection counts on it any more: connections keep the
configuration they were accepted under.  When the board is full the rest goes without: no health, no counts.

The ledger is told whose numbers a cell holds from now on: by its name, what was counted for a listener or a server is
found wherever it stood.

Bookkeeping only.  `assign` decides nothing; `adopt` does, once all workers have agreed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from fastnlb.model import Cells, ServerKey, Snapshot

REST_SECONDS = 60.0
NONE = -1

log = logging.getLogger("fastnlb.master")

K = TypeVar("K", bound=Hashable)


class Board(Protocol):
    """What the master needs of the board."""

    server_cells: int
    listener_cells: int

    def server_connections(self, cell: int) -> int: ...

    def clear_server(self, cell: int) -> None: ...

    def listener_connections(self, cell: int) -> int: ...

    def clear_listener(self, cell: int) -> None: ...

    def health(self, cell: int) -> tuple[int, int]: ...

    def restore_health(self, cell: int, health: int, reason: int) -> None: ...


class Ledger(Protocol):
    """What the master needs of the ledger."""

    def enter_listener(self, cell: int, name: str) -> None: ...

    def enter_server(self, cell: int, group: str, address: str, port: int) -> None: ...


class NoBoard:
    """A board without cells."""

    server_cells = 0
    listener_cells = 0

    def server_connections(self, cell: int) -> int:
        raise IndexError(cell)

    def clear_server(self, cell: int) -> None:
        raise IndexError(cell)

    def listener_connections(self, cell: int) -> int:
        raise IndexError(cell)

    def clear_listener(self, cell: int) -> None:
        raise IndexError(cell)

    def health(self, cell: int) -> tuple[int, int]:
        raise IndexError(cell)

    def restore_health(self, cell: int, health: int, reason: int) -> None:
        raise IndexError(cell)


NO_BOARD = NoBoard()


class Shelf(Generic[K]):
    """Cells of one kind; `connections` and `clear` are what the board does with one."""

    def __init__(self, size: int, connections: Callable[[int], int], clear: Callable[[int], None]) -> None:
        self._size = size
        self._connections = connections
        self._clear = clear
        self._held: dict[K, int] = {}
        self._given_up: dict[int, float] = {}
        self.used = 0

    def assign(self, keys: Iterable[K], now: float) -> dict[K, int]:
        fresh = self._free(now)
        return {key: self._held[key] if key in self._held else next(fresh, NONE) for key in dict.fromkeys(keys)}

    def adopt(self, cells: dict[K, int], now: float) -> None:
        taken = set(cells.values()) - {NONE}
        for cell in taken:
            self._given_up.pop(cell, None)
        self._given_up.update((cell, now) for cell in self._held.values() if cell != NONE and cell not in taken)
        self._held = {key: cell for key, cell in cells.items() if cell != NONE}
        self.used = max([self.used, *(cell + 1 for cell in taken)])

    def _free(self, now: float) -> Iterator[int]:
        """Rested ones first, then those that nobody ever had; cleared."""
        for cell, when in list(self._given_up.items()):
            if when <= now - REST_SECONDS and self._connections(cell) == 0:
                self._clear(cell)
                yield cell
        yield from range(self.used, self._size)


class CellBook:
    """The cells of a daemon's board.  `ledger`: None when nothing is counted by name."""

    def __init__(
        self, board: Board, clock: Callable[[], float] = time.monotonic, ledger: Ledger | None = None
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._clock = clock
        self._servers: Shelf[ServerKey] = Shelf(board.server_cells, board.server_connections, board.clear_server)
        self._listeners: Shelf[str] = Shelf(board.listener_cells, board.listener_connections, board.clear_listener)

    def assign(self, snapshot: Snapshot) -> Cells:
        """The cells of `snapshot`, if it were to be served."""
        now = self._clock()
        servers = self._servers.assign(_server_keys(snapshot), now)
        listeners = self._listeners.assign((each.name for each in snapshot.listeners), now)
        if self._ledger is not None:
            _enter(self._ledger, Cells(servers, listeners))
        return Cells(servers, listeners)

    def adopt(self, cells: Cells) -> None:
        """These are what is served from now on."""
        now = self._clock()
        self._servers.adopt(cells.servers, now)
        self._listeners.adopt(cells.listeners, now)
        lacking = sum(cell == NONE for cell in (*cells.servers.values(), *cells.listeners.values()))
        if lacking:
            log.warning("the shared board is full: %d servers and listeners go without health and counts", lacking)

    def health(self, cells: Cells) -> list[list[Any]]:
        """What is known of each server, for another board: group, address, port, health, reason."""
        return [[*key, *map(int, self._board.health(cell))] for key, cell in cells.servers.items() if cell != NONE]

    def inherit_health(self, cells: Cells, known: list[list[Any]]) -> None:
        """What another board knew of servers that are in `cells` too."""
        for group, address, port, health, reason in known:
            cell = cells.servers.get((group, address, port), NONE)
            if cell != NONE:
                self._board.restore_health(cell, health, reason)


def _enter(ledger: Ledger, cells: Cells) -> None:
    """Cells that were free take their new names; the others have theirs."""
    for name, cell in cells.listeners.items():
        if cell != NONE:
            ledger.enter_listener(cell, name)
    for (group, address, port), cell in cells.servers.items():
        if cell != NONE:
            ledger.enter_server(cell, group, address, port)


def _server_keys(snapshot: Snapshot) -> Iterable[ServerKey]:
    return ((group.name, each.address, each.port) for group in snapshot.server_groups for each in group.servers)
