"""Processor time of one choice of a server, by scheduler, number of servers and number of workers.

In one process and without any I/O: the choice alone, again and again, so everything it looks at is in the caches.
The cells are on a real shared board, on which each worker has its place; servers are of equal weight and all healthy.
What a client is hashed to is given: hashing its address is not in the figures.  Medians of some rounds, in ns.
"""

from __future__ import annotations

import argparse
import statistics
import time

from fastnlb._core._testing_pick import PickProbe

from fastnlb.board import Board
from fastnlb.model import Server
from fastnlb.worker.orders import SCHEDULERS, Orders

WORKERS = (1, 2, 4)
SERVERS = (2, 64, 1000)
PICKS = 20_000
ROUNDS = 7


def group(scheduler: str, count: int) -> tuple[object, ...]:
    """The core's fields of a group with so many servers."""
    servers = tuple(Server(f"10.0.{at // 250}.{at % 250 + 1}", 80, 1) for at in range(count))
    listed = [(each.address, each.port, each.weight, cell) for cell, each in enumerate(servers)]
    return SCHEDULERS[scheduler], listed, Orders().of(scheduler, servers), -1, False


def cost(scheduler: str, servers: int, workers: int) -> float:
    """ns for one choice."""
    board = Board.create(workers=workers)
    fields = group(scheduler, servers)
    probes = [PickProbe(fields, (board.address(), board.places, place)) for place in range(workers)]
    for number in range(servers):
        probes[number % workers].count(number, 1 + number % 3)
    return statistics.median(_round(probes[0]) for _ in range(ROUNDS))


def _round(probe: PickProbe) -> float:
    before = time.process_time_ns()
    probe.pick_many(PICKS)
    return (time.process_time_ns() - before) / PICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("schedulers", nargs="*", default=list(SCHEDULERS), help="rr, wrr, wlc, sch, tch")
    chosen = parser.parse_args().schedulers
    print(f"{'ns for one choice':20}" + "".join(f"{count:>8} servers" for count in SERVERS))
    for scheduler in chosen:
        for workers in WORKERS:
            costs = [cost(scheduler, servers, workers) for servers in SERVERS]
            print(f"{scheduler:6}{workers:4} workers   " + "".join(f"{each:>16.0f}" for each in costs))


if __name__ == "__main__":
    main()
