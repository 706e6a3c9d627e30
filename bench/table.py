"""Results as Markdown: per family a table of medians with spread and ratios, then rate and latency beside them.

In a peer's cell, [0.85] is fastnlb by that peer, the median of the rounds' ratios; the last column is the same, with
its spread, for the peer that does best beside us.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.results import FLOOR, SUBJECT, Metric, Results, Row, Sample

FAMILIES = {
    "handshakes": "New TLS connections",
    "bulk": "Bulk data, TLS",
    "messages": "Small messages, TLS",
    "plain": "Plain TCP",
    "memory": "Memory of an idle TLS connection",
    "growth": "Growth of cost",
    "latency": "An established connection while 500 clients a second come",
    "certificates": "What a listener of fastnlb has to do",
    "reload": "New connections while the configuration is reloaded",
}
BESIDE = (
    Metric("rate", "/s", lower_is_better=False),
    Metric("p50", "us"),
    Metric("p99", "us"),
)


def markdown(results: Results) -> str:
    """The whole document, with what was skipped and why at its end."""
    parts = [_head(results)]
    for family, rows in results.families.items():
        parts.append(f"## {FAMILIES.get(family, family)}")
        parts.append("\n".join(_costs(rows)))
        beside = [row for row in rows if row.metric.name == "cpu"]
        if beside:
            parts.append("\n".join(_beside(beside)))
    skipped = list(_skipped(results.rows))
    if skipped:
        parts.append("## Skipped\n\n" + "\n".join(skipped))
    return "\n\n".join(parts) + "\n"


def number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _head(results: Results) -> str:
    about = results.about
    lines = [f"# Benchmarks of {about.get('date', 'an unknown day')}", ""]
    for key in ("commit", "rounds", "seconds", "processor", "processors", "memory", "kernel", "python"):
        if key in about:
            lines.append(f"* {key}: {about[key]}")
    lines += [f"* {name}: {version}" for name, version in about.get("versions", {}).items()]
    return "\n".join([*lines, "", "Median (lowest-highest) of the rounds; [fastnlb / this peer, round by round]."])


def names(rows: Sequence[Row]) -> list[str]:
    """The proxies with samples in any of these rows; ours first, the floor last."""
    found = list(dict.fromkeys(name for row in rows for name in row.samples if row.values(name)))
    return sorted(found, key=lambda name: (name == FLOOR, name != SUBJECT))


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _costs(rows: Sequence[Row]) -> Iterator[str]:
    columns = names(rows)
    last = ["fastnlb / best peer"] if any(row.peers for row in rows) else []
    yield line("work", "unit", *columns, *last)
    yield "|---" * (len(columns) + 2 + len(last)) + "|"
    for row in rows:
        cells = [_cell(row, name) for name in columns]
        yield line(row.title, row.metric.unit, *cells, *([_best(row)] if last else []))


def _best(row: Row) -> str:
    ratio = row.best_ratio()
    return "-" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _cell(row: Row, name: str) -> str:
    summary = row.summary(name)
    if summary is None:
        return "-"
    text = f"{number(summary.median)} ({number(summary.low)}-{number(summary.high)})"
    ratio = row.ratio(name) if name != SUBJECT else None
    return text + (f" [{ratio.median:.2f}]" if ratio else "") + _remarks(row, row.samples[name])


def _remarks(row: Row, samples: Sequence[Sample]) -> str:
    """What failed, and of a storm how much was served, where that is not what the row is about."""
    failed = sum(each.failed for each in samples) if row.metric.name != "failed" else 0
    served = sum(each.extra.get("storm_units", 0) for each in samples)
    came = served + sum(each.extra.get("storm_failed", 0) for each in samples)
    share = f", {served / came:.0%} of the storm served" if served < came and row.metric.name == "p99" else ""
    return (f", {failed} failed" if failed else "") + share


def _beside(rows: Sequence[Row]) -> Iterator[str]:
    """Rate and latency of the same samples; the floor is no proxy and has neither."""
    columns = [name for name in names(rows) if name != FLOOR]
    items = dict.fromkeys(f"{row.metric.item}s" for row in rows if row.metric.item != "KiB")
    yield line(f"rate of {', '.join(items)}, p50 / p99" if items else "rate", *columns)
    yield "|---" * (len(columns) + 1) + "|"
    for row in rows:
        yield line(row.title, *(_rate(row, name) for name in columns))


def _rate(row: Row, name: str) -> str:
    readings = [Row(row.scenario, row.family, row.title, metric, row.samples).summary(name) for metric in BESIDE]
    rate, middle, late = readings
    if rate is None or middle is None or late is None:
        return "-"
    if row.metric.item == "KiB":  # a latency would be that of a whole transfer
        return f"{number(rate.median / 1024)} MiB/s"
    return f"{number(rate.median)}/s, {number(middle.median)} / {number(late.median)} us"


def _skipped(rows: Sequence[Row]) -> Iterator[str]:
    """A reason that a proxy has for every row it is said once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, reason in row.skipped.items():
            found = reasons.setdefault((name, reason), [])
            if row.scenario not in found:
                found.append(row.scenario)
    for (name, reason), scenarios in reasons.items():
        where = "everything" if len(scenarios) == len({row.scenario for row in rows}) else ", ".join(scenarios)
        yield f"* {name}: {reason} ({where})"
