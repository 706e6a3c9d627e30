"""Two looks at a daemon's status, and the rates that lie between them.

A number that a daemon does not tell is None, as is a rate that cannot be known: that of a new listener, or of one
whose counters began anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastnlb.cli.resource_text import server_place
from fastnlb.cli.status import status_place

Counters = Mapping[str, Any]

DROPPED = ("dropped_cps", "dropped_max_connections")
LEFT = ("aborted", "timed_out", "evicted", "shed")
"""How handshakes end that nobody refuses."""


@dataclass(frozen=True, slots=True)
class Look:
    """An answer and when it came, in seconds of a clock that only goes forward.

    `busy`: seconds of processor time by process id, of those that are on this machine.
    """

    at: float
    answer: Mapping[str, Any]
    busy: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class ListenerLine:
    """A listener.  Rates are per second; bytes are those to servers (`up`) and to clients (`down`)."""

    name: str
    place: str
    state: str
    connections: int | None
    new: float | None
    up: float | None
    down: float | None
    handshakes: float | None
    resumed: float | None
    failed: float | None
    left: float | None
    dropped: float | None

    @property
    def bytes(self) -> float | None:
        return None if self.up is None or self.down is None else self.up + self.down


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A worker.  `load`: of one processor, 1.0 = all of it."""

    index: int
    pid: int
    state: str
    connections: int | None
    new: float | None
    bytes: float | None
    load: float | None


@dataclass(frozen=True, slots=True)
class SickServer:
    """A server that is out of health."""

    group: str
    place: str
    health: str
    reason: str | None
    connections: int | None


def listener_lines(before: Look | None, now: Look) -> list[ListenerLine]:
    """In the order of the answer."""
    earlier = {} if before is None else {each["name"]: each for each in before.answer["listeners"]}
    return [_listener(each, _Rates(earlier.get(each["name"]), each, before, now)) for each in now.answer["listeners"]]


def worker_lines(before: Look | None, now: Look) -> list[WorkerLine]:
    """In the order of their numbers."""
    earlier = {} if before is None else {each["pid"]: each for each in before.answer["workers"]}
    return [
        _worker(each, _Rates(earlier.get(each["pid"]), each, before, now), before, now)
        for each in sorted(now.answer["workers"], key=lambda each: (each["index"], each["pid"]))
    ]


def sick_servers(answer: Mapping[str, Any]) -> list[SickServer]:
    """Those that health checks have taken out, and those that have not passed any yet."""
    return list(_sick(answer))


def server_count(answer: Mapping[str, Any]) -> int:
    return sum(len(group["servers"]) for group in answer["server_groups"])


ORDERS: dict[str, Callable[[ListenerLine], Any]] = {
    "connections": lambda each: -(each.connections or 0),
    "rate": lambda each: -(each.new or 0),
    "bytes": lambda each: -(each.bytes or 0),
    "name": lambda each: each.name,
}
"""What listeners can be sorted by."""


def ordered(lines: Iterable[ListenerLine], by: str) -> list[ListenerLine]:
    """Sorted by one of ORDERS, the largest first; equal ones by name."""
    return sorted(lines, key=lambda each: (ORDERS[by](each), each.name))


class _Rates:
    """Counters of one thing, then and now."""

    def __init__(
        self, earlier: Mapping[str, Any] | None, thing: Mapping[str, Any], before: Look | None, now: Look
    ) -> None:
        self._old: Counters | None = (earlier or {}).get("counters")
        self._new: Counters | None = thing.get("counters")
        self._seconds = 0.0 if before is None else now.at - before.at

    def of(self, *names: str) -> float | None:
        """All of them together; what is zero need not be told."""
        if self._old is None or self._new is None or self._seconds <= 0:
            return None
        grown = [self._new.get(name, 0) - self._old.get(name, 0) for name in names]
        return None if min(grown, default=0) < 0 else sum(grown) / self._seconds


def _handshakes(names: Iterable[str]) -> set[str]:
    """The whole number of those that were completed, or the parts that it has by version and resumption."""
    if "handshakes" in names:
        return {"handshakes"}
    return {name for name in names if name.startswith("handshakes_")} - _failures(names)


def _failures(names: Iterable[str]) -> set[str]:
    """Those that came to nothing: one number, or one for each reason."""
    ends = ("handshakes_failed", *(f"handshakes_{end}" for end in LEFT))
    return {name for name in names if name in ends or name.startswith("failed_")}


def _left(names: Iterable[str]) -> set[str]:
    return {name for end in LEFT for name in (f"handshakes_{end}", f"failed_{end}") if name in names}


def _listener(told: Mapping[str, Any], rates: _Rates) -> ListenerLine:
    names = (told.get("counters") or {}).keys()
    return ListenerLine(
        name=told["name"],
        place=status_place(dict(told)),
        state="running" if told["enabled"] else "stopped",
        connections=told["connections"],
        new=rates.of("accepted"),
        up=rates.of("bytes_up"),
        down=rates.of("bytes_down"),
        handshakes=rates.of(*_handshakes(names)),
        resumed=rates.of(*(name for name in names if name.startswith("handshakes_") and name.endswith("resumed"))),
        failed=rates.of(*_failures(names) - _left(names)),
        left=rates.of(*_left(names)),
        dropped=rates.of(*DROPPED),
    )


def _worker(told: Mapping[str, Any], rates: _Rates, before: Look | None, now: Look) -> WorkerLine:
    pid = told["pid"]
    return WorkerLine(
        index=told["index"],
        pid=pid,
        state=told["state"],
        connections=told["connections"],
        new=rates.of("accepted"),
        bytes=rates.of("bytes_up", "bytes_down"),
        load=_load(pid, before, now),
    )


def _load(pid: int, before: Look | None, now: Look) -> float | None:
    if before is None or pid not in before.busy or pid not in now.busy or now.at <= before.at:
        return None
    return max(0.0, now.busy[pid] - before.busy[pid]) / (now.at - before.at)


def _sick(answer: Mapping[str, Any]) -> Iterator[SickServer]:
    for group in answer["server_groups"]:
        for each in group["servers"]:
            health = each["health"]
            if health not in (None, "HEALTHY"):
                yield SickServer(
                    group["name"], server_place(each), health.lower(), each["reason"], each["connections"]
                )
