"""The Prometheus text format: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.

prometheus_client would take ten microseconds for each sample: a second of the control process at 2,000 listeners.
Here the labels of a series are a string that is made once and kept by whoever has the series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fastnlb.stats.families import Family, full_name

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Value = int | float
Sample = tuple[str, Value]
"""The labels of a series as `labelled` makes them, and its value."""


def labelled(names: Sequence[str], values: Iterable[str]) -> str:
    """`{listener="https"}`; empty without labels."""
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def block(family: Family, samples: Iterable[Sample]) -> Iterator[str]:
    """The lines of one metric; none when it has no sample."""
    name = full_name(family)
    lines = [f"{name}{labels} {value}" for labels, value in samples]
    if lines:
        yield from _head(name, family)
        yield from lines


def histogram(family: Family, series: Iterable[tuple[Sequence[str], str, Sequence[int], float]]) -> Iterator[str]:
    """Likewise; a series is the labels of each bucket, its other labels, the counts by bucket, and the sum."""
    name = full_name(family)
    lines: list[str] = []
    for buckets, labels, counts, total in series:
        seen = 0
        for bucket, count in zip(buckets, counts, strict=True):
            seen += count
            lines.append(f"{name}_bucket{bucket} {seen}")
        lines += [f"{name}_sum{labels} {total}", f"{name}_count{labels} {seen}"]
    if lines:
        yield from _head(name, family)
        yield from lines


def _head(name: str, family: Family) -> Iterator[str]:
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {family.kind}"
