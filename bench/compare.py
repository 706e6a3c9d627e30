"""Two runs row by row: better, worse, or within the noise that the rounds of both show.

A difference counts when it is larger than half the spread of the rounds of both runs together, than LEAST, and than
what the peers that are the same in both runs have changed by: that was the machine.  With `against` a proxy, the
values are fastnlb's by that proxy's of the same round, and the machine cancels out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import SUBJECT, Results, Row, Summary
from bench.table import line, number

LEAST = 0.03  # no run on a machine with other work tells less than this
BETTER, WORSE, SAME = "better", "worse", "within noise"


@dataclass(frozen=True)
class Change:
    """What became of one row; `change` and `noise` are shares of the first median."""

    id: str
    title: str
    unit: str
    first: float
    second: float
    change: float
    noise: float
    verdict: str


def compare(first: Results, second: Results, against: str | None = None) -> list[Change]:
    """The rows that both runs have."""
    others = {row.id: row for row in second.rows}
    pairs = ((row, others[row.id]) for row in first.rows if row.id in others)
    steady = [] if against else _unchanged(first, second)
    found = (_change(one, other, against, steady) for one, other in pairs)
    return [each for each in found if each is not None]


def _unchanged(first: Results, second: Results) -> list[str]:
    """Peers of one version in both runs: their figures may differ by the machine alone."""
    before, after = (results.about.get("versions", {}) for results in (first, second))
    return [name for name in before if name != SUBJECT and before[name] == after.get(name)]


def only_in(first: Results, second: Results) -> list[str]:
    """Rows of the first run that the second does not have."""
    there = {row.id for row in second.rows}
    return [row.id for row in first.rows if row.id not in there]


def _values(row: Row, against: str | None) -> list[float]:
    ours = row.values(SUBJECT)
    if against is None:
        return ours
    return [one / other for one, other in zip(ours, row.values(against), strict=False) if other]


def _change(one: Row, other: Row, against: str | None, steady: Sequence[str]) -> Change | None:
    before, after = _values(one, against), _values(other, against)
    if not before or not after:
        return None
    first, second = Summary.of(before), Summary.of(after)
    drifts = [_drift(one, other, name) for name in steady]
    noise = max(LEAST, first.noise + second.noise, *drifts)
    change = _relative(first.median, second.median)
    unit = one.metric.unit if against is None else f"x {against}"
    verdict = _verdict(change, noise, one.metric.lower_is_better)
    return Change(one.id, one.title, unit, first.median, second.median, change, noise, verdict)


def _drift(one: Row, other: Row, name: str) -> float:
    before, after = one.summary(name), other.summary(name)
    return abs(_relative(before.median, after.median)) if before and after else 0.0


def _relative(first: float, second: float) -> float:
    """Infinite when something has come of nothing."""
    if first == second:
        return 0.0
    return (second - first) / first if first else float("inf")


def _verdict(change: float, noise: float, lower_is_better: bool) -> str:
    if abs(change) <= noise:
        return SAME
    return BETTER if (change < 0) == lower_is_better else WORSE


def markdown(changes: Iterable[Change]) -> Iterator[str]:
    """Lines of a table."""
    yield line("row", "unit", "before", "after", "change", "noise", "")
    yield "|---" * 7 + "|"
    for each in changes:
        numbers = [number(each.first), number(each.second), f"{each.change:+.1%}", f"{each.noise:.1%}"]
        yield line(each.id, each.unit, *numbers, each.verdict)
