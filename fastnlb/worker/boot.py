"""What a worker has when it begins: the TLS library's addresses, its row of the counter page, its Engine."""

from __future__ import annotations

import errno
import gc
import resource
from pathlib import Path

from OpenSSL import SSL

from fastnlb._core.engine import Engine
from fastnlb.board import Board
from fastnlb.model import Snapshot
from fastnlb.stats.page import Page
from fastnlb.tls import contexts
from fastnlb.tls.binding import addresses

RESERVED_DESCRIPTORS = 16
"""Kept free for what is not a connection: frames from the master, logs, files a library opens for a moment."""


LEAST_FRONTS = 256
"""Fronts made at least: as many TLS listeners and changes of their settings as are at work at one time, and more."""


def make_fronts(snapshot: Snapshot) -> tuple[SSL.Context, ...]:
    """The pool of contexts whose session ticket keys all workers share: to be called once, before the first fork."""
    listeners = sum(listener.terminates_tls for listener in snapshot.listeners)
    return contexts.make_fronts(max(LEAST_FRONTS, 4 * listeners))


def boot(page: Page, board: Board, row: int) -> Engine:
    """An Engine that counts in `row` of the page and that place of the board.

    Raises fastnlb.tls.binding.BindingError, OSError.
    """
    # What was made before the fork is never garbage: leaving it out of collections keeps its pages shared.
    gc.freeze()
    page.bury(row)
    page.put(row, {"starts": page.row(row)["starts"] + 1})
    board.clear_place(row)
    engine = Engine(
        addresses(),
        counters=page.address(row),
        board=(board.address(), board.places, row),
        ledger=None if page.ledger is None else page.ledger.addresses(row),
        descriptor_limit=0,
    )
    fit_descriptor_limit(engine)
    return engine


def fit_descriptor_limit(engine: Engine) -> None:
    """Give the connections what the process limit leaves after everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine.descriptor_limit = max(0, soft - _open_others(engine, soft) - RESERVED_DESCRIPTORS)


def _open_others(engine: Engine, soft: int) -> int:
    try:
        everything = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        everything = soft  # not even one to look with
    return everything - int(engine.debug_counts()["descriptors"])
