"""Without TLS: new connections, and bulk data."""

from __future__ import annotations

from bench._load import connections
from bench.peers import Setup
from bench.results import Sample
from bench.running import Site
from bench.scenario import PER_CONNECTION, Effort, Scenario, measured
from bench.scenarios.bulk import transfers


def visits(count: int) -> Scenario:
    def run(site: Site, effort: Effort) -> Sample:
        target = site.target(None)
        return measured(site, lambda: connections(target, at_a_time=count, seconds=effort.seconds))

    title = f"new connection, {count} at a time"
    return Scenario(f"plain-connection-{count}", "plain", title, (PER_CONNECTION,), run, Setup(tls=False), quick=True)


SCENARIOS = (
    *(visits(count) for count in (1, 16)),
    *(
        transfers(direction, count, None, quick=count == 8)
        for direction in ("download", "upload")
        for count in (1, 8, 64)
    ),
)
