"""What a worker counts for each listener and for each server: the layout of a block of the ledger.

Every number belongs to a metric and, with others of its kind, differs in the values of that metric's labels.  The
core's indexes (`_core/counters.pxd`) are generated from here.  One 8-byte unsigned number each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastnlb.stats.labels import ALERTS, BUCKETS, CIPHERS, FAILURES, GROUPS, NO_GROUP, OTHER, VERSIONS
from fastnlb.stats.table import COUNTER, GAUGE, NUMBERS

HISTOGRAM = "histogram"


class Cell(NamedTuple):
    """One number of a block: what it is called in here, the metric it is of, and the values of its labels.

    Of a histogram: the buckets (not cumulative), then the sum in nanoseconds.
    """

    name: str
    metric: str
    labels: tuple[str, ...] = ()
    kind: str = COUNTER


def _each(prefix: str, metric: str, values: tuple[str, ...], *before: str) -> Iterator[Cell]:
    return (Cell(f"{prefix}_{_word(value)}", metric, (*before, value)) for value in values)


def _histogram(prefix: str, metric: str) -> Iterator[Cell]:
    for number in range(len(BUCKETS) + 1):
        yield Cell(f"{prefix}_bucket_{number}", metric, (), HISTOGRAM)
    yield Cell(f"{prefix}_sum", metric, (), HISTOGRAM)


def _word(value: str) -> str:
    return value.lower().replace("-", "_").replace(".", "")


# In the order of the workers' rows, from which the core finds its way here.
_CLOSED = tuple(each.name.removeprefix("closed_") for each in NUMBERS if each.name.startswith("closed_"))
_ALERTS = (*ALERTS.values(), OTHER)

LISTENER_NUMBERS: tuple[Cell, ...] = (
    Cell("connections", "listener_connections", (), GAUGE),
    Cell("accepted", "listener_connections_accepted_total"),
    *_each("dropped", "listener_connections_dropped_total", ("cps", "max_connections")),
    *_each("closed", "listener_connections_closed_total", _CLOSED),
    *_each("bytes", "listener_bytes_total", ("up", "down")),
    *_each("proxy", "listener_proxy_headers_total", ("accepted", "malformed", "timed_out", "aborted", "untrusted")),
    *(
        Cell(f"handshakes_{_word(version)}{suffix}", "listener_handshakes_total", (version, resumed))
        for version in VERSIONS
        for suffix, resumed in (("", "no"), ("_resumed", "yes"))
    ),
    *_each("cipher", "listener_handshake_ciphers_total", (*CIPHERS, OTHER)),
    *_each("group", "listener_handshake_groups_total", (*GROUPS, NO_GROUP, OTHER)),
    *_each("failed", "listener_handshake_failures_total", (*FAILURES, "aborted", "timed_out", "shed")),
    *_each("sent", "listener_tls_alerts_total", _ALERTS, "sent"),
    *_each("received", "listener_tls_alerts_total", _ALERTS, "received"),
    *_histogram("handshake", "listener_handshake_seconds"),
    *_histogram("connect", "listener_connect_seconds"),
)

SERVER_NUMBERS: tuple[Cell, ...] = (
    Cell("connections", "server_connections", (), GAUGE),
    Cell("connects", "server_connects_total"),
    *_each("failed", "server_connect_failures_total", ("refused", "timed_out", "not_begun")),
)

CACHE_LINE = 64


def stride(cells: tuple[Cell, ...]) -> int:
    """Bytes of a block: whole cache lines, because its neighbours may be other workers'."""
    return -(-8 * len(cells) // CACHE_LINE) * CACHE_LINE
