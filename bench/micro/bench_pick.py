"""One choice of a server, by scheduler and number of servers; `python -m bench.pick_cost` has more workers too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastnlb._core._testing_pick import PickProbe

from bench.pick_cost import PICKS, group
from fastnlb.board import Board
from fastnlb.worker.orders import SCHEDULERS


@pytest.mark.parametrize("servers", [2, 1000])
@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def bench_pick(many: Callable[[Callable[[], object], int], None], scheduler: str, servers: int) -> None:
    board = Board.create(workers=1)
    probe = PickProbe(group(scheduler, servers), (board.address(), board.places, 0))
    many(lambda: probe.pick_many(PICKS), PICKS)
