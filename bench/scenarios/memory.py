"""Resident memory that an idle TLS connection adds, over all processes of a proxy that has just been started."""

from __future__ import annotations

import time

from bench._load import Crowd, connections
from bench.clients import Client
from bench.results import Metric, Sample
from bench.running import Site
from bench.scenario import Effort, Scenario
from bench.scenarios import library

CLIENT = Client()
KIB = Metric("memory", "KiB", 1024)
WARM = 100  # connections before the first reading, so that what is made once is not counted
REST = 0.5  # seconds in which the proxy puts away what only busy connections need


def scenario(count: int, *, quick: bool) -> Scenario:
    def run(site: Site, effort: Effort) -> Sample:
        target = site.target(CLIENT)
        connections(target, at_a_time=8, count=WARM)
        time.sleep(REST)
        before = site.resident_bytes()
        with Crowd(target, count):
            time.sleep(REST)
            return Sample(count, memory=site.resident_bytes() - before)

    return Scenario(
        f"memory-{count}",
        "memory",
        f"each of {count:,} idle connections",
        (KIB,),
        run,
        client=CLIENT,
        fresh=True,
        quick=quick,
        rounds=3,
        floor=library.memory("ecdsa", count),
    )


SCENARIOS = (scenario(1000, quick=True), scenario(5000, quick=False))
