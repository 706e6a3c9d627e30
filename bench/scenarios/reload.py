"""New connections in a closed loop while the proxy is told to reload again and again: how many fail, how late."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench._load import connections
from bench.clients import Client
from bench.peers import Setup
from bench.results import Metric, Sample
from bench.running import Site
from bench.scenario import P99, Effort, Scenario, sample

CLIENT = Client()
FAILED = Metric("failed", "failed")
AT_A_TIME = 8
PAUSE = 0.5  # seconds from one reload to the next


def run(site: Site, effort: Effort) -> Sample:
    target = site.target(CLIENT)
    seconds = PAUSE * (effort.reloads + 2)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(lambda: connections(target, at_a_time=AT_A_TIME, seconds=seconds))
        for _ in range(effort.reloads):
            time.sleep(PAUSE)
            site.reload()
        outcome = coming.result()
    return sample(outcome, reloads=effort.reloads)


SCENARIOS = (
    Scenario(
        "reload",
        "reload",
        "TLS 1.3 connections while reloading",
        (FAILED, P99),
        run,
        Setup(reloads=True),
        CLIENT,
        quick=True,
        rounds=3,
    ),
)
