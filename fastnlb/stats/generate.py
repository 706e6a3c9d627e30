"""Writes what is derived from the tables: `_core/counters.pxd`, `_core/labels.pxd` and `docs/metrics.md`.

`python -m fastnlb.stats.generate` writes all; the texts are pure functions of the tables, so a test can compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fastnlb.stats.blocks import LISTENER_NUMBERS, SERVER_NUMBERS, stride
from fastnlb.stats.families import FAMILIES, LABEL_VALUES, Family, full_name
from fastnlb.stats.labels import ALERTS, BUCKETS, CIPHERS, FAILURES, GROUPS, LIBRARY_GROUPS
from fastnlb.stats.table import NUMBERS

ROOT = Path(__file__).resolve().parents[2]
COUNTERS_PXD = ROOT / "fastnlb" / "_core" / "counters.pxd"
LABELS_PXD = ROOT / "fastnlb" / "_core" / "labels.pxd"
METRICS_MD = ROOT / "docs" / "metrics.md"

_BY = "# Generated from fastnlb/stats by `python -m fastnlb.stats.generate`; do not edit."
_FIRSTS = ("cipher", "group", "failed", "sent", "received", "handshake_bucket", "connect_bucket")


# --- the core ---------------------------------------------------------------------------------------------------


def counters_pxd() -> str:
    lines = [
        _BY,
        "# Index of each number: in a worker's row of the shared counter page (N_), and in its blocks of the ledger",
        "# for a listener (L_) and a server (S_).",
        "",
        *_enum("N", (number.name for number in NUMBERS)),
        "",
        *_enum("L", (cell.name for cell in LISTENER_NUMBERS)),
        "",
        *_enum("S", (cell.name for cell in SERVER_NUMBERS)),
        "",
        "cdef enum:                     # of what there is one of for each value of a label",
        *(f"    L_{first.upper()}_FIRST = {_first(first)}" for first in _FIRSTS),
        "",
        "cdef enum:",
        f"    L_BLOCK_BYTES = {stride(LISTENER_NUMBERS)}",
        f"    S_BLOCK_BYTES = {stride(SERVER_NUMBERS)}",
    ]
    return "\n".join(lines) + "\n"


def _enum(prefix: str, names: Iterable[str]) -> list[str]:
    return ["cdef enum:", *(f"    {prefix}_{name.upper()}" for name in names), f"    {prefix}_NUMBERS"]


def _first(prefix: str) -> int:
    return next(index for index, cell in enumerate(LISTENER_NUMBERS) if cell.name.startswith(prefix + "_"))


def labels_pxd() -> str:
    """The lists in C, in the order of the numbers; what is on none has the place behind the last."""
    failures = [(reason, place) for place, reasons in enumerate(FAILURES.values()) for reason in reasons]
    lines = [
        _BY,
        "# How the values of labels are found: by the names of the TLS library, by alert, by reason, by time.",
        "",
        "from libc.stdint cimport uint8_t, uint16_t, uint64_t",
        "",
        "cdef extern from *:",
        '    """',
        "    #include <stdint.h>",
        *_strings("LABEL_CIPHERS", CIPHERS),
        *_strings("LABEL_GROUPS", (LIBRARY_GROUPS.get(group, group) for group in GROUPS)),
        *_array("uint8_t", "LABEL_ALERTS", map(str, ALERTS)),
        *_array("uint16_t", "LABEL_REASONS", (f"{{{reason}, {place}}}" for reason, place in failures), "[][2]"),
        *_array("uint64_t", "LABEL_BUCKETS", (f"{round(bound * 1e9)}ull" for bound in BUCKETS)),
        '    """',
        "    const char* LABEL_CIPHERS[]",
        "    const char* LABEL_GROUPS[]",
        "    const uint8_t LABEL_ALERTS[]",
        "    const uint16_t LABEL_REASONS[][2]",
        "    const uint64_t LABEL_BUCKETS[]",
        "",
        "cdef enum:",
        f"    LABEL_CIPHER_COUNT = {len(CIPHERS)}",
        f"    LABEL_GROUP_COUNT = {len(GROUPS)}",
        f"    LABEL_ALERT_COUNT = {len(ALERTS)}",
        f"    LABEL_REASON_COUNT = {len(failures)}",
        f"    LABEL_BUCKET_COUNT = {len(BUCKETS)}",
        f"    LABEL_FAILURE_OTHER = {len(FAILURES) - 1}",
    ]
    return "\n".join(lines) + "\n"


def _strings(name: str, values: Iterable[str]) -> Iterator[str]:
    return _array("char *const", name, (f'"{value}"' for value in values))


def _array(kind: str, name: str, values: Iterable[str], shape: str = "[]") -> Iterator[str]:
    yield f"    static const {kind} {name}{shape} __attribute__((unused)) = {{"
    yield from (f"        {value}," for value in values)
    yield "    };"


# --- the documentation ------------------------------------------------------------------------------------------

_HEAD = """# Metrics

`GET /metrics` answers in the Prometheus text format. Generated from the tables in `fastnlb/stats`.

Counters never go down: not when a worker dies, not with a reload, not with a hot restart; what the process before
counted is taken on, while it drains and after. Those of the control process alone (reloads, probes, requests) begin
at zero with it; `fastnlb_control_start_time_seconds` says when. A listener or server that is removed and comes back
goes on where it was. Series whose label has many values, and histograms, appear with their first event; all others
are there from the start. A metric without a listener, server or worker in its labels is of the daemon as a whole.

`contrib/prometheus/` has rules and alerts, `contrib/grafana/` a dashboard. Why it is built like this:
[decision 24](decisions/0024-metrics.md).
"""


def metrics_md() -> str:
    parts = [_HEAD]
    for title, wanted in _CHAPTERS:
        parts += [f"## {title}", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
        parts += [_row(family) for family in FAMILIES if wanted(family)]
        parts.append("")
    parts += ["## Values of labels", "", "| label | of | values |", "|---|---|---|"]
    parts += [f"| `{label}` | {_of(metrics)} | {_values(values)} |" for label, metrics, values in LABEL_VALUES]
    bounds = ", ".join(f"{bound:g}" for bound in BUCKETS)
    parts += ["", f"Histograms have buckets up to {bounds} seconds."]
    return "\n".join(parts) + "\n"


def _about(*words: str) -> Callable[[Family], bool]:
    return lambda family: family.name.startswith(words)


_SUBJECTS = ("listener_", "server_", "certificate_", "worker_", "access_log_", "process_")
_CHAPTERS: tuple[tuple[str, Callable[[Family], bool]], ...] = (
    ("Listeners", _about("listener_")),
    ("Servers", _about("server_")),
    ("Certificates", _about("certificate_")),
    ("Workers", _about("worker_", "access_log_")),
    ("Processes", _about("process_")),
    ("The daemon and its control process", lambda family: not family.name.startswith(_SUBJECTS)),
)


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{full_name(family)}` | {family.kind} | {labels} | {family.help} |"


def _of(metrics: tuple[str, ...]) -> str:
    return ", ".join(f"`fastnlb_{metric}`" for metric in metrics)


def _values(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _texts() -> list[tuple[Path, str]]:
    return [(COUNTERS_PXD, counters_pxd()), (LABELS_PXD, labels_pxd()), (METRICS_MD, metrics_md())]


if __name__ == "__main__":
    for path, text in _texts():
        path.write_text(text)
