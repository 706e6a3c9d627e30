"""Writes what is derived from the table: `_core/counters.pxd` and `docs/metrics.md`.

`python -m fastnlb.stats.generate` writes both; the texts are pure functions of the table, so a test can compare.
"""

from __future__ import annotations

from pathlib import Path

from fastnlb.stats.table import NUMBERS

ROOT = Path(__file__).resolve().parents[2]
COUNTERS_PXD = ROOT / "fastnlb" / "_core" / "counters.pxd"
METRICS_MD = ROOT / "docs" / "metrics.md"


def counters_pxd() -> str:
    lines = [
        "# Generated from fastnlb/stats/table.py by `python -m fastnlb.stats.generate`; do not edit.",
        "# Index of each number in a worker's row of the shared counter page.",
        "",
        "cdef enum:",
        *(f"    N_{number.name.upper()}" for number in NUMBERS),
        "    N_NUMBERS",
    ]
    return "\n".join(lines) + "\n"


def metrics_md() -> str:
    lines = [
        "# Numbers",
        "",
        "Every worker writes these to its row of the shared counter page. Generated from `fastnlb/stats/table.py`.",
        "",
        "| name | kind | meaning |",
        "|---|---|---|",
        *(f"| `{number.name}` | {number.kind} | {number.help} |" for number in NUMBERS),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    COUNTERS_PXD.write_text(counters_pxd())
    METRICS_MD.write_text(metrics_md())
