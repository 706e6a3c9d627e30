"""The shared board of a running daemon: the same memory that its processes have, found through /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastnlb.board import LEAST_PLACES, MEMORY_NAME, Board, Health, Reason
from support.procs import descriptors, wait_for


@contextmanager
def board_of(pid: int) -> Iterator[Board]:
    """The board of a master with at most LEAST_PLACES workers; needs `core_dumps: true`.

    Cells are given out in the order of the configuration, so the first server is in cell 0.
    """
    number = next(fd for fd, what in descriptors(pid).items() if MEMORY_NAME in what)
    board = Board(os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR | os.O_CLOEXEC), LEAST_PLACES)
    try:
        yield board
    finally:
        board.close()


def wait_health(board: Board, cell: int, health: Health, reason: Reason = Reason.NONE) -> None:
    try:
        wait_for(lambda: board.health(cell) == (health, reason), "")
    except AssertionError:
        found, why = board.health(cell)
        raise AssertionError(f"cell {cell} is {found.name} {why.name}, not {health.name} {reason.name}") from None


def fail_in_workers(board: Board, cell: int, count: int) -> None:
    """As if that many attempts of workers to connect had failed in a row."""
    os.pwrite(board.descriptor, count.to_bytes(4, "little"), cell * board.stride + 8)
