"""What `/metrics` answers: everything that there is to know of a running daemon in the Prometheus text format.

    exposition   the bytes, to be served as CONTENT_TYPE

Numbers of workers, listeners and servers are read from shared memory at that moment; nobody is asked, and nothing is
kept between two answers but the strings that do not change while the configuration does not.  Those of the process
before a hot restart are part of all counters, while it drains and after.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from fastnlb import __version__
from fastnlb.board import Health, Reason
from fastnlb.control.figures import RELOAD_RESULTS, Figures
from fastnlb.control.processes import process_lines
from fastnlb.control.prometheus import CONTENT_TYPE, Sample, Value, block, labelled
from fastnlb.control.tallies import Listeners, Servers
from fastnlb.model import Offer, Snapshot
from fastnlb.stats.blocks import HISTOGRAM, LISTENER_NUMBERS
from fastnlb.stats.families import BY_NAME, worker_family
from fastnlb.stats.ledger import LISTENERS, SERVERS, Totals
from fastnlb.stats.page import Page
from fastnlb.stats.table import COUNTER, NUMBERS

__all__ = ["CONTENT_TYPE", "Metrics"]

_PLAIN = {cell.name for cell in LISTENER_NUMBERS if BY_NAME[cell.metric].kind != HISTOGRAM}


class Board(Protocol):
    """What the metrics need of the shared board."""

    def health(self, cell: int) -> tuple[Health, Reason]: ...


class Metrics:
    """`elder` has the counters of the process that this one took over from, also when that is gone.

    `offer` gives what is in force, `state` the daemon as the master told it last (control/status.py).
    """

    def __init__(
        self,
        page: Page,
        board: Board,
        elder: Page | None = None,
        *,
        offer: Callable[[], Offer],
        state: Callable[[], Mapping[str, Any]],
        figures: Figures,
    ) -> None:
        self._page = page
        self._board = board
        self._elder = elder
        self._offer = offer
        self._state = state
        self._figures = figures
        self._known: Offer | None = None
        self._listeners = Listeners(Offer(Snapshot()))
        self._servers = Servers(Offer(Snapshot()))
        self._certificates: list[str] = []
        self._took = 0.0
        self._lock = threading.Lock()

    def exposition(self) -> bytes:
        """The answer to a scrape.

        At 2,000 listeners and 10,000 servers it takes half a second: to be called in a thread, for whoever has
        something to do meanwhile.  All that it reads may change while it does.
        """
        with self._lock:
            begun = time.perf_counter()
            self._follow()
            text = "\n".join(self._lines()) + "\n"
            self._took = time.perf_counter() - begun
        return text.encode()

    def of_listeners(self) -> Totals:
        """Name -> number -> value, of both processes; what is zero is left out, and so are histograms."""
        totals = self._totals(LISTENERS, bool(self._state().get("draining")))
        return {
            listener: {name: value for name, value in numbers.items() if name in _PLAIN}
            for listener, numbers in totals.items()
        }

    def _follow(self) -> None:
        offer = self._offer()
        if offer is not self._known:
            self._known = offer
            self._listeners, self._servers = Listeners(offer), Servers(offer)
            self._certificates = list(_certificates(offer))

    def _lines(self) -> Iterator[str]:
        state = self._state()
        draining = bool(state.get("draining"))
        yield from self._daemon(state)
        yield from self._listeners.lines(self._totals(LISTENERS, draining))
        yield from self._servers.lines(self._totals(SERVERS, draining), self._board.health)
        yield from self._certificates
        yield from self._workers(draining)
        yield from process_lines(state)

    def _totals(self, kind: str, draining: bool) -> Totals:
        """Of both processes.  What the elder held when it ended is nothing to go by."""
        own = {} if self._page.ledger is None else self._page.ledger.totals(kind)
        if self._elder is None or self._elder.ledger is None:
            return own
        for name, numbers in self._elder.ledger.totals(kind).items():
            mine = own.setdefault(name, {})
            for number, value in numbers.items():
                if draining or number != "connections":
                    mine[number] = mine.get(number, 0) + value
        return own

    # --- the daemon --------------------------------------------------------------------------------------------

    def _daemon(self, state: Mapping[str, Any]) -> Iterator[str]:
        figures = self._figures
        yield from _one("build_info", 1, __version__)
        yield from _one("config_generation", state.get("generation") or 0)
        yield from _by("config_reloads_total", {(each,): figures.reloads[each] for each in RELOAD_RESULTS})
        yield from _one("config_last_reload_success", int(figures.last_reload == RELOAD_RESULTS[0]))
        yield from _by(
            "config_last_reload_timestamp_seconds", {(each,): when for each, when in figures.reloaded_at.items()}
        )
        yield from _one("control_start_time_seconds", figures.started)
        yield from _by("health_check_probes_total", {(each,): count for each, count in figures.probes.items()})
        yield from _by("api_requests_total", dict[tuple[str, ...], Value](figures.requests))
        yield from _one("workers", len(state.get("workers", ())))
        yield from _one("draining_processes", len(state.get("draining", ())))
        yield from _one("scrape_seconds", round(self._took, 6))

    # --- workers -----------------------------------------------------------------------------------------------

    def _workers(self, draining: bool) -> Iterator[str]:
        """By the row that a worker counts in: heirs go on in it."""
        rows = {row: numbers for row in range(self._page.rows) if any((numbers := self._row(row, draining)).values())}
        labels = {row: labelled(("worker",), (str(row),)) for row in rows}
        for number in NUMBERS:
            family = worker_family(number)
            if family is not None:
                yield from block(family, ((labels[row], numbers[number.name]) for row, numbers in rows.items()))

    def _row(self, row: int, draining: bool) -> dict[str, int]:
        own = self._page.history(row)
        if self._elder is None or row >= self._elder.rows:
            return own
        elder = self._elder.history(row)
        return {
            number.name: number.over((own[number.name], elder[number.name]))
            if draining or number.kind == COUNTER
            else own[number.name]
            for number in NUMBERS
        }


def _one(name: str, value: Value, *labels: str) -> Iterator[str]:
    return _by(name, {labels: value})


def _by(name: str, values: Mapping[tuple[str, ...], Value]) -> Iterator[str]:
    family = BY_NAME[name]
    return block(family, ((labelled(family.labels, labels), value) for labels, value in values.items()))


def _certificates(offer: Offer) -> Iterator[str]:
    certificates = offer.snapshot.certificates
    labels = {each.name: labelled(("certificate",), (each.name,)) for each in certificates}
    ends: list[Sample] = [(labels[each.name], each.not_after) for each in certificates]
    yield from block(BY_NAME["certificate_not_after_timestamp_seconds"], ends)
    starts: list[Sample] = [(labels[each.name], each.not_before) for each in certificates]
    yield from block(BY_NAME["certificate_not_before_timestamp_seconds"], starts)
    uses: dict[tuple[str, ...], Value] = {
        (name, listener.name): 1
        for listener in offer.snapshot.active_listeners()
        if listener.certificate is not None
        for name in (listener.certificate, *listener.additional_certificates)
    }
    yield from _by("certificate_use_info", uses)
