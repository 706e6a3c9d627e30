"""From a good Snapshot to a running daemon: the one place where the master meets the worker's code."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastnlb.master.arbiter import Arbiter
from fastnlb.master.process import Seat
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
    in_worker: Callable[[], None] | None = None,
) -> int:
    """Runs the daemon to its end; its exit code.  `in_worker` runs first in every worker, `on_ready` here."""
    page = Page.create(rows=settings.workers)
    fronts = make_fronts(snapshot)

    def main(seat: Seat) -> int:
        if in_worker is not None:
            in_worker()
        return worker_main(seat, page=page, fronts=fronts)

    try:
        arbiter = Arbiter(settings, snapshot, main, pid_file=pid_file, on_ready=on_ready, fronts=len(fronts))
        return arbiter.run()
    finally:
        page.close()
