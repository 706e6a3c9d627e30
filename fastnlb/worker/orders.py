"""What a scheduler goes by, made from the weights beforehand so that the core only looks it up.

A round for rr and wrr, buckets for the two that hash.  Large groups take a while to order, so what the last
configuration had is kept: a change makes only the orders of the groups it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from fastnlb._core.buckets import bucket_table
from fastnlb._core.defs import Scheduler
from fastnlb._core.smooth import smooth_round
from fastnlb.model import Server

SCHEDULERS = {
    "rr": Scheduler.SCHEDULER_ROUND,
    "wrr": Scheduler.SCHEDULER_ROUND,
    "wlc": Scheduler.SCHEDULER_LEAST,
    "sch": Scheduler.SCHEDULER_SOURCE,
    "tch": Scheduler.SCHEDULER_TUPLE,
}

Order = list[int] | bytes


class Orders:
    """The orders of one configuration after the other.  For one thread."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, tuple[Server, ...]], Order] = {}
        self._now: dict[tuple[str, tuple[Server, ...]], Order] = {}

    def of(self, scheduler: str, servers: tuple[Server, ...]) -> Order:
        """For these servers, all with a weight."""
        key = ("hash" if scheduler in ("sch", "tch") else scheduler), servers
        if key not in self._now:
            self._now[key] = self._last[key] if key in self._last else _order(scheduler, servers)
        return self._now[key]

    def turn(self) -> None:
        """The configuration is compiled: forget what only the one before it had."""
        self._last, self._now = self._now, {}


def _order(scheduler: str, servers: Sequence[Server]) -> Order:
    if scheduler in ("sch", "tch"):
        return bucket_table([(_identity(server), server.weight) for server in servers]) if servers else b""
    if scheduler == "wrr":
        return smooth_sequence(servers)
    # For wlc it is what is gone by when a server cannot be counted.
    return list(range(len(servers)))


def _identity(server: Server) -> bytes:
    """What a server is known by from one configuration to the next, wherever it stands in its group."""
    return f"{server.address} {server.port}".encode()


def smooth_sequence(servers: Sequence[Server]) -> list[int]:
    """The order in which smooth weighted round robin picks, one whole period of it.

    Each pick raises every server by its weight, takes the highest and lowers it by the sum; so a server of weight
    5 beside two of weight 1 is picked a a b a c a a and never seven times in a row.  Weights are divided by their
    common divisor first.  Length: the sum of the weights, at most 100 per server.
    """
    if not servers:
        return []
    divisor = gcd(*(server.weight for server in servers))
    weights = [server.weight // divisor for server in servers]
    return smooth_round(weights)
