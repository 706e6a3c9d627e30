"""The metrics of listeners and servers, from the numbers of the ledger.

Made anew for each configuration: what a series is called is put together once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from fastnlb.board import Health, Reason
from fastnlb.control.prometheus import Sample, block, histogram, labelled
from fastnlb.model import Listener, Offer, Server, ServerGroup, place
from fastnlb.stats.blocks import HISTOGRAM, LISTENER_NUMBERS, SERVER_NUMBERS, Cell
from fastnlb.stats.families import BY_NAME, Family
from fastnlb.stats.labels import BUCKETS
from fastnlb.stats.ledger import Totals, server_name

_NOTHING: Mapping[str, int] = {}
_TLS_ONLY = {"listener_handshake_failures_total"}


class _Series(NamedTuple):
    """Of one metric: the numbers it is made of, and what the labels of each begin with behind the subject's own."""

    family: Family
    cells: tuple[Cell, ...]


def _series(numbers: tuple[Cell, ...]) -> list[_Series]:
    families = dict.fromkeys(BY_NAME[cell.metric] for cell in numbers)
    return [_Series(family, tuple(cell for cell in numbers if BY_NAME[cell.metric] is family)) for family in families]


_LISTENER_SERIES = _series(LISTENER_NUMBERS)
_SERVER_SERIES = _series(SERVER_NUMBERS)
_BOUNDS = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")


class _Subject:
    """One listener or server: its name in the ledger, and its labels."""

    def __init__(self, name: str, names: tuple[str, ...], values: tuple[str, ...], tls: bool) -> None:
        self.name = name
        self.labels = labelled(names, values)
        self.tls = tls
        self._open = self.labels.removesuffix("}")
        self._made: dict[str, str] = {}
        self._buckets: list[str] = []

    def more(self, cell: Cell, family: Family) -> str:
        """The labels with those of the number; made when first needed."""
        made = self._made.get(cell.name)
        if made is None:
            own = family.labels[len(family.labels) - len(cell.labels) :]
            made = self.with_(own, cell.labels)
            self._made[cell.name] = made
        return made

    def with_(self, names: tuple[str, ...], values: tuple[str, ...]) -> str:
        return f"{self._open},{labelled(names, values)[1:]}" if names else self.labels

    def buckets(self) -> list[str]:
        if not self._buckets:
            self._buckets = [self.with_(("le",), (bound,)) for bound in _BOUNDS]
        return self._buckets


def _lines(series: list[_Series], subjects: list[_Subject], totals: Totals) -> Iterator[str]:
    known = [(subject, totals.get(subject.name, _NOTHING)) for subject in subjects]
    for family, cells in series:
        if family.kind == HISTOGRAM:
            yield from histogram(family, _histograms(cells, known))
        elif family.wide:
            yield from block(family, _seen(family, cells, known))
        else:
            yield from block(family, _all(family, cells, known))


_Known = list[tuple[_Subject, Mapping[str, int]]]


def _all(family: Family, cells: tuple[Cell, ...], known: _Known) -> Iterator[Sample]:
    tls_only = family.name in _TLS_ONLY
    for subject, numbers in known:
        if subject.tls or not tls_only:
            for cell in cells:
                yield subject.more(cell, family), numbers.get(cell.name, 0)


def _seen(family: Family, cells: tuple[Cell, ...], known: _Known) -> Iterator[Sample]:
    for subject, numbers in known:
        for cell in cells:
            value = numbers.get(cell.name)
            if value:
                yield subject.more(cell, family), value


def _histograms(cells: tuple[Cell, ...], known: _Known) -> Iterator[tuple[list[str], str, list[int], float]]:
    *buckets, total = (cell.name for cell in cells)
    for subject, numbers in known:
        counts = [numbers.get(bucket, 0) for bucket in buckets]
        if any(counts):
            yield subject.buckets(), subject.labels, counts, numbers.get(total, 0) / 1e9


class Listeners:
    """Those of a configuration, stopped ones included."""

    def __init__(self, offer: Offer) -> None:
        self._subjects = [_listener(each) for each in offer.snapshot.listeners]

    def lines(self, totals: Totals) -> Iterator[str]:
        return _lines(_LISTENER_SERIES, self._subjects, totals)


def _listener(listener: Listener) -> _Subject:
    return _Subject(listener.name, ("listener",), (listener.name,), listener.terminates_tls)


class Servers:
    """Those of all groups of a configuration."""

    def __init__(self, offer: Offer) -> None:
        self._subjects: list[_Subject] = []
        self._cells: list[int] = []
        weights: list[Sample] = []
        for group in offer.snapshot.server_groups:
            for server in group.servers:
                self._subjects.append(_server(group, server))
                self._cells.append(offer.cells.servers.get((group.name, server.address, server.port), -1))
                weights.append((self._subjects[-1].labels, server.weight))
        self._weights = list(block(BY_NAME["server_weight"], weights))

    def lines(self, totals: Totals, health: Callable[[int], tuple[Health, Reason]]) -> Iterator[str]:
        """`health` says how the server in a cell is."""
        yield from _lines(_SERVER_SERIES, self._subjects, totals)
        found = [
            (subject, health(cell)) for subject, cell in zip(self._subjects, self._cells, strict=True) if cell >= 0
        ]
        up: Iterator[Sample] = ((subject.labels, int(state is not Health.UNHEALTHY)) for subject, (state, _) in found)
        yield from block(BY_NAME["server_up"], up)
        yield from block(BY_NAME["server_health_info"], ((_health(*each), 1) for each in found))
        yield from self._weights


def _server(group: ServerGroup, server: Server) -> _Subject:
    name = server_name(group.name, server.address, server.port)
    return _Subject(name, ("server_group", "server"), (group.name, place(server.address, server.port)), False)


def _health(subject: _Subject, health: tuple[Health, Reason]) -> str:
    state, reason = health
    told = "" if reason is Reason.NONE else reason.name.lower()
    return subject.with_(("state", "reason"), (state.name.lower(), told))
