"""Every metric that fastnlb has for Prometheus: name (without `fastnlb_`), type, labels, meaning.

`docs/metrics.md` is generated from here, and nothing is exposed that is not in here.  The numbers of workers' rows
make a metric each; those of the ledger's blocks name theirs.
"""

from __future__ import annotations

from typing import NamedTuple

from fastnlb.stats.blocks import HISTOGRAM, LISTENER_NUMBERS, SERVER_NUMBERS, Cell
from fastnlb.stats.table import COUNTER, GAUGE, NUMBERS, Number

PREFIX = "fastnlb_"


class Family(NamedTuple):
    """One metric.  `wide`: its series appear with their first event, because most of them never would."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    wide: bool = False


def full_name(family: Family) -> str:
    return PREFIX + family.name


_L = ("listener",)
_LISTENERS = (
    Family("listener_connections", GAUGE, "connections open now, in any state", _L),
    Family("listener_connections_accepted_total", COUNTER, "connections accepted", _L),
    Family(
        "listener_connections_dropped_total",
        COUNTER,
        "clients reset right after accept because of a limit; not among the accepted",
        (*_L, "reason"),
    ),
    Family(
        "listener_connections_closed_total", COUNTER, "accepted connections that have ended, by why", (*_L, "reason")
    ),
    Family(
        "listener_bytes_total",
        COUNTER,
        "plaintext bytes passed on: up from clients to servers, down from servers to clients",
        (*_L, "direction"),
    ),
    Family(
        "listener_proxy_headers_total",
        COUNTER,
        "PROXY headers of peers, by what became of them",
        (*_L, "result"),
        True,
    ),
    Family("listener_handshakes_total", COUNTER, "TLS handshakes completed", (*_L, "version", "resumed"), True),
    Family(
        "listener_handshake_ciphers_total",
        COUNTER,
        "TLS handshakes completed, by cipher suite",
        (*_L, "cipher"),
        True,
    ),
    Family(
        "listener_handshake_groups_total",
        COUNTER,
        "TLS handshakes completed, by group of the key exchange; none: there was no such exchange",
        (*_L, "group"),
        True,
    ),
    Family(
        "listener_handshake_failures_total", COUNTER, "TLS handshakes that came to nothing, by why", (*_L, "reason")
    ),
    Family(
        "listener_tls_alerts_total",
        COUNTER,
        "TLS alerts during handshakes, and those of clients that ended a connection later",
        (*_L, "direction", "alert"),
        True,
    ),
    Family(
        "listener_handshake_seconds",
        HISTOGRAM,
        "how long completed TLS handshakes took, from accept or the end of the PROXY header",
        _L,
        True,
    ),
    Family(
        "listener_connect_seconds",
        HISTOGRAM,
        "how long it took to connect to a server, the attempt that succeeded",
        _L,
        True,
    ),
)

_S = ("server_group", "server")
_SERVERS = (
    Family("server_connections", GAUGE, "connections to it now, attempts included", _S),
    Family("server_connects_total", COUNTER, "connections to it established", _S),
    Family("server_connect_failures_total", COUNTER, "attempts to connect to it that failed", (*_S, "reason")),
    Family("server_up", GAUGE, "1: it may be chosen; 0: the health check says that it is down", _S),
    Family("server_health_info", GAUGE, "1: its health is `state`, for this `reason`", (*_S, "state", "reason")),
    Family("server_weight", GAUGE, "its configured weight; 0: it gets no new connections", _S),
)

_C = ("certificate",)
_CERTIFICATES = (
    Family("certificate_not_after_timestamp_seconds", GAUGE, "Unix time at which it expires", _C),
    Family("certificate_not_before_timestamp_seconds", GAUGE, "Unix time from which it is valid", _C),
    Family("certificate_use_info", GAUGE, "1: this listener serves it", (*_C, "listener")),
)

_P = ("role", "pid")
_PROCESSES = (
    Family("process_cpu_seconds_total", COUNTER, "processor time, user and system", _P),
    Family(
        "process_resident_memory_bytes", GAUGE, "resident memory; pages shared with others are in each of them", _P
    ),
    Family("process_open_fds", GAUGE, "open descriptors, where the control process may look", _P),
    Family("process_threads", GAUGE, "threads", _P),
    Family("process_start_time_seconds", GAUGE, "Unix time of its start", _P),
)

_DAEMON = (
    Family("build_info", GAUGE, "1: this version answers", ("version",)),
    Family("config_generation", GAUGE, "number of the configuration in force; grows with each change"),
    Family("config_reloads_total", COUNTER, "reloads of the configuration, by result", ("result",)),
    Family(
        "config_last_reload_success", GAUGE, "1: the last reload was applied, or there was none; 0: it was refused"
    ),
    Family("config_last_reload_timestamp_seconds", GAUGE, "Unix time of the last reload, by result", ("result",)),
    Family(
        "control_start_time_seconds", GAUGE, "Unix time at which the control process began, with zero of its counters"
    ),
    Family("health_check_probes_total", COUNTER, "probes of servers that have ended, by result", ("result",)),
    Family("api_requests_total", COUNTER, "requests answered", ("route", "method", "status")),
    Family("workers", GAUGE, "worker processes, those that are ending included"),
    Family("draining_processes", GAUGE, "1: the process before a hot restart still ends its connections"),
    Family("scrape_seconds", GAUGE, "how long the answer before this one took to make"),
)

NAMED_APART = {"log_lines": "access_log_lines_total", "log_dropped": "access_log_dropped_lines_total"}
"""Numbers of a worker's row whose metric is not called after them."""

_ELSEWHERE = ("certificates", "certificates_first_expiry", "certificates_last_start")


def worker_family(number: Number) -> Family | None:
    """The metric that a number of the workers' rows makes; None: another one says it."""
    if number.name in _ELSEWHERE:
        return None
    name = NAMED_APART.get(number.name, f"worker_{number.name}" + ("_total" if number.kind == COUNTER else ""))
    return Family(name, number.kind, number.help, ("worker",))


_WORKERS = tuple(family for number in NUMBERS if (family := worker_family(number)) is not None)

FAMILIES: tuple[Family, ...] = (*_LISTENERS, *_SERVERS, *_CERTIFICATES, *_WORKERS, *_PROCESSES, *_DAEMON)
BY_NAME: dict[str, Family] = {family.name: family for family in FAMILIES}


def _values(metric: str, cells: tuple[Cell, ...], place: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.labels[place] for cell in cells if cell.metric == metric))


def _told(label: str, metric: str, cells: tuple[Cell, ...] = LISTENER_NUMBERS, place: int = 0) -> _Told:
    return label, (metric,), _values(metric, cells, place)


_Told = tuple[str, tuple[str, ...], tuple[str, ...]]
LABEL_VALUES: tuple[_Told, ...] = (
    _told("reason", "listener_connections_dropped_total"),
    _told("reason", "listener_connections_closed_total"),
    _told("direction", "listener_bytes_total"),
    _told("result", "listener_proxy_headers_total"),
    _told("version", "listener_handshakes_total"),
    _told("resumed", "listener_handshakes_total", place=1),
    _told("cipher", "listener_handshake_ciphers_total"),
    _told("group", "listener_handshake_groups_total"),
    _told("reason", "listener_handshake_failures_total"),
    _told("direction", "listener_tls_alerts_total"),
    _told("alert", "listener_tls_alerts_total", place=1),
    _told("reason", "server_connect_failures_total", SERVER_NUMBERS),
    ("role", ("process_cpu_seconds_total",), ("master", "control", "worker", "draining")),
)
"""The values that labels may have: label, metrics, values."""
