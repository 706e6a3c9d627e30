"""Results as SVG, a file for each family and unit: bars of medians with the spread of the rounds as whiskers.

matplotlib is optional: without it NoChartsError is raised, and nothing else of a run is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.results import FLOOR, Results, Row
from bench.table import FAMILIES, names

COLOURS = {
    "fastnlb": "#1b6ca8",
    "nginx": "#4f9d69",
    "haproxy": "#d9822b",
    "hitch": "#8d6cab",
    "envoy": "#b8505a",
    FLOOR: "#9a9a9a",
}
FAR_APART = 20.0  # from here on a linear axis hides the small ones


class NoChartsError(Exception):
    """Why nothing is drawn, in one line."""


def draw(results: Results, folder: Path) -> list[Path]:
    """The files that were written.  Raises NoChartsError."""
    library = _library()
    return [_draw(library, title, unit, rows, folder) for title, unit, rows in _charts(results)]


def _library() -> Any:
    try:
        import matplotlib  # noqa: PLC0415  optional
        import matplotlib.pyplot as plt  # noqa: PLC0415
    except ImportError:
        raise NoChartsError("plots: matplotlib is not installed: skipped") from None
    # The same results make the same file.
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "fastnlb", "svg.fonttype": "none", "font.size": 9})
    return plt


def _charts(results: Results) -> Iterator[tuple[str, str, list[Row]]]:
    for family, rows in results.families.items():
        units = dict.fromkeys(row.metric.unit for row in rows)
        for unit in units:
            drawn = [row for row in rows if row.metric.unit == unit]
            if any(value for row in drawn for name in row.samples for value in row.values(name)):
                yield family, unit, drawn


def _draw(plt: Any, family: str, unit: str, rows: Sequence[Row], folder: Path) -> Path:
    columns = names(rows)
    height = 0.9 / len(columns)
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.2 * len(rows) * (len(columns) + 1)))
    for at, name in enumerate(columns):
        _bars(axes, rows, name, at * height, height)
    axes.set_yticks([place + 0.45 - height / 2 for place in range(len(rows))], [row.title for row in rows])
    axes.invert_yaxis()
    _scale(axes, rows)
    better = "less" if rows[0].metric.lower_is_better else "more"
    axes.set_xlabel(f"{unit} ({better} is better); whiskers: lowest and highest round")
    axes.set_title(FAMILIES.get(family, family))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    path = folder / f"{family}-{_word(unit)}.svg"
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return path


def _bars(axes: Any, rows: Sequence[Row], name: str, offset: float, height: float) -> None:
    found = [(place, summary) for place, row in enumerate(rows) if (summary := row.summary(name))]
    medians = [each.median for _, each in found]
    whiskers = [[each.median - each.low for _, each in found], [each.high - each.median for _, each in found]]
    places = [place + offset for place, _ in found]
    look = {"color": COLOURS.get(name, "#555555"), "error_kw": {"linewidth": 0.8, "ecolor": "#333333"}}
    axes.barh(places, medians, height, xerr=whiskers, label=name, **look)


def _scale(axes: Any, rows: Sequence[Row]) -> None:
    medians = [each.median for row in rows for name in row.samples if (each := row.summary(name)) and each.median > 0]
    if medians and max(medians) / min(medians) > FAR_APART:
        axes.set_xscale("log")


def _word(unit: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in unit.lower()).strip("-").replace("--", "-")
