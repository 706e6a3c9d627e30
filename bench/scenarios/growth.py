"""Whether a round trip of 1 KiB costs more among many connections, and with more workers on the one processor."""

from __future__ import annotations

from bench.peers import Setup
from bench.results import Sample
from bench.running import Site
from bench.scenario import PER_TRIP, Effort, Scenario
from bench.scenarios.messages import CLIENT, echo

SIZE = 1024
ACTIVE = 64


def of_open(count: int, active: int | None = None) -> Scenario:
    def run(site: Site, effort: Effort) -> Sample:
        return echo(site, effort, SIZE, count, active)

    name = f"growth-open-{count}" + (f"-active-{active}" if active else "")
    who = f"{active} of {count:,}" if active else f"all {count:,}" if count > 1 else "the only one"
    return Scenario(name, "growth", f"1 KiB, {who} of the connections", (PER_TRIP,), run, client=CLIENT, rounds=3)


def of_workers(count: int) -> Scenario:
    def run(site: Site, effort: Effort) -> Sample:
        return echo(site, effort, SIZE, ACTIVE)

    title = f"1 KiB, {ACTIVE} connections, {count} worker{'s'[: count - 1]}"
    return Scenario(
        f"growth-workers-{count}", "growth", title, (PER_TRIP,), run, Setup(workers=count), CLIENT, rounds=3
    )


SCENARIOS = (
    *(of_open(count) for count in (1, 64, 5000)),
    *(of_open(5000, active) for active in (1, 64)),
    *(of_workers(count) for count in (1, 2, 4)),
)
