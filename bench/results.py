"""What a run has found: samples of rows, with the machine and the versions they belong to, as JSON and back.

A sample is one stretch of work of one proxy; a row is one metric of one scenario with the samples of every proxy.  A
value is always computed from a sample, never stored, so a file can be read by other metrics than it was shown with.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
SUBJECT = "fastnlb"
FLOOR = "library"  # the TLS library alone, in memory: no proxy, so never the best peer


class ResultsError(Exception):
    """A file that cannot be used; the message is one line and names the file."""


@dataclass(frozen=True)
class Sample:
    """`units` of work in `seconds`, for `cpu_ns` of the proxy's processor time; latencies in us, memory in bytes."""

    units: float
    seconds: float = 0.0
    cpu_ns: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    failed: int = 0
    memory: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """A reading of a sample, in `unit`, by `scale` of what is counted (ns, bytes); `item` is a unit of work."""

    name: str
    unit: str
    scale: float = 1.0
    lower_is_better: bool = True
    item: str = ""

    def value(self, sample: Sample) -> float:
        """In `unit`; ZeroDivisionError for a sample without any work."""
        readings = {
            "cpu": lambda: sample.cpu_ns / sample.units,
            "rate": lambda: sample.units / sample.seconds,
            "p50": lambda: sample.p50_us,
            "p99": lambda: sample.p99_us,
            "memory": lambda: sample.memory / sample.units,
            "failed": lambda: float(sample.failed),
        }
        return readings[self.name]() / self.scale


@dataclass
class Row:
    """One metric of one scenario; `skipped` says why a proxy has no samples, or no more of them."""

    scenario: str
    family: str
    title: str
    metric: Metric
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.scenario}/{self.metric.name}"

    def values(self, name: str) -> list[float]:
        """Of every sample that has any work in it, in the order of the rounds."""
        return [self.metric.value(each) for each in self.samples.get(name, ()) if each.units]

    def summary(self, name: str) -> Summary | None:
        values = self.values(name)
        return Summary.of(values) if values else None

    @property
    def peers(self) -> list[str]:
        """Proxies that ours is compared with."""
        return [name for name in self.samples if name not in (SUBJECT, FLOOR) and self.values(name)]

    def ratio(self, peer: str) -> Summary | None:
        """fastnlb by the peer, round by round, so that what the machine did in a round falls on both.

        None where there is nothing to divide, or by.
        """
        rounds = zip(self.values(SUBJECT), self.values(peer), strict=False)
        found = [ours / theirs for ours, theirs in rounds if theirs]
        return Summary.of(found) if found else None

    def best_ratio(self) -> Summary | None:
        """That to the peer we come off worst against."""
        found = [ratio for name in self.peers if (ratio := self.ratio(name))]
        worst = max if self.metric.lower_is_better else min
        return worst(found, key=lambda each: each.median, default=None)


@dataclass(frozen=True)
class Summary:
    """Median and spread of some rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        return cls(statistics.median(values), min(values), max(values))

    @property
    def noise(self) -> float:
        """Half the spread as a share of the median; 0 for a median of 0."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass
class Results:
    """A run: `about` has date, commit, machine, versions and how it was run."""

    about: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def families(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.family, []).append(row)
        return found

    def save(self, path: Path) -> None:
        document = {"format": FORMAT, **dataclasses.asdict(self)}
        path.write_text(json.dumps(document, indent=1) + "\n")


def load(path: Path) -> Results:
    """Raises ResultsError."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not readable as results: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ResultsError(f"{path}: not results of format {FORMAT}: run the benchmarks again")
    try:
        return Results(document["about"], [_row(each) for each in document["rows"]])
    except (KeyError, TypeError) as error:
        raise ResultsError(f"{path}: damaged results: {error}") from error


def _row(document: Mapping[str, Any]) -> Row:
    samples = {name: [Sample(**each) for each in every] for name, every in document["samples"].items()}
    fields = {**document, "metric": Metric(**document["metric"]), "samples": samples}
    return Row(**fields)
