"""From a good Snapshot to a running daemon: the one place where the master meets the code of its children."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from fastnlb.board import Board
from fastnlb.control.first_look import first_look
from fastnlb.control.run import main as control_main
from fastnlb.control.source import Start
from fastnlb.master.arbiter import Arbiter
from fastnlb.master.process import Seat, WorkerMain
from fastnlb.model import Settings, Snapshot
from fastnlb.stats.page import Page
from fastnlb.worker.boot import make_fronts
from fastnlb.worker.run import main as worker_main


def serve(
    snapshot: Snapshot,
    settings: Settings,
    *,
    pid_file: str | os.PathLike[str] | None = None,
    on_ready: Callable[[], None] | None = None,
    in_child: Callable[[], None] | None = None,
    start: Start | None = None,
) -> int:
    """Runs the daemon to its end; its exit code.  `in_child` runs first in every child, `on_ready` here.

    `start` is the configuration file the Snapshot was read from; without one nothing can be reloaded.  Host names
    are resolved before anything else, which takes a few seconds when that fails.
    """
    snapshot = first_look(snapshot)
    page = Page.create(rows=settings.workers)
    board = Board.create(settings.workers)
    fronts = make_fronts(snapshot)

    def child(main: WorkerMain) -> WorkerMain:
        def begin(seat: Seat) -> int:
            if in_child is not None:
                in_child()
            return main(seat)

        return begin

    arbiter = Arbiter(
        settings,
        snapshot,
        child(partial(worker_main, page=page, board=board, fronts=fronts)),
        pid_file=pid_file,
        on_ready=on_ready,
        fronts=len(fronts),
        board=board,
        control_main=child(partial(control_main, board=board, start=start)),
    )
    try:
        return arbiter.run()
    finally:
        page.close()
        board.close()
