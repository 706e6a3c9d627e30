"""What an established connection feels of 500 new clients a second: round trips of 128 bytes, a pause between them.

Whatever else wants a processor is not what is measured: for root the proxies, the origin and the prober come first.
With RSA keys that is by niceness only: the handshakes fill a processor, which no real-time task may do for ever.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench import priority
from bench._load import Crowd, Outcome, arrivals
from bench.clients import Client
from bench.peers import Setup
from bench.results import Sample
from bench.running import Site
from bench.scenario import P50, P99, Effort, Scenario, sample

CLIENT = Client()
RATE = 500
SIZE = 128
PAUSE_US = 500
LEAST = 1.5  # seconds: a p99 of less is that of a handful of round trips
LEAD = 0.5  # seconds of the storm before the first round trip counts, and after the last one
SETTLE = 0.5  # seconds in which what the storm has left behind ends
KEYS = {"ecdsa": "ECDSA P-256", "rsa4096": "RSA-4096"}
KINDS = {"full": "whole handshakes", "half": "half-open handshakes", "silent": "silent clients"}


def scenario(kind: str | None, key: str = "ecdsa", *, quick: bool = False) -> Scenario:
    """`kind` of arrivals, None for none."""

    def run(site: Site, effort: Effort) -> Sample:
        seconds = max(LEAST, effort.seconds)
        crowd = Crowd(site.target(CLIENT), 1)
        with crowd, priority.first([site.process.pid, site.origin.pid], real_time):
            found = calm(crowd, seconds) if kind is None else storm(site, crowd, seconds, kind)
        time.sleep(SETTLE)
        return found

    title = "nobody comes" if kind is None else f"{KINDS[kind]}, {KEYS[key]}"
    real_time = key == "ecdsa"
    return Scenario(
        "-".join(["latency", kind or "calm", key]),
        "latency",
        title,
        (P99, P50),
        run,
        Setup(key=key),
        CLIENT,
        quick=quick,
    )


def calm(crowd: Crowd, seconds: float) -> Sample:
    return sample(probe(crowd, seconds))


def storm(site: Site, crowd: Crowd, seconds: float, kind: str) -> Sample:
    target = site.target(CLIENT)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(lambda: arrivals(target, per_second=RATE, seconds=seconds + 2 * LEAD, kind=kind))
        time.sleep(LEAD)
        found = probe(crowd, seconds)
        came = coming.result()
    wait = came.at(0.5) if came.latencies_us else 0.0
    return sample(found, storm_units=came.units, storm_failed=came.failed, storm_p50_us=wait)


def probe(crowd: Crowd, seconds: float) -> Outcome:
    with priority.at_once():
        return crowd.echo(size=SIZE, seconds=seconds, think_us=PAUSE_US)


SCENARIOS = (
    scenario(None, quick=True),
    scenario("full", quick=True),
    scenario("half"),
    scenario("silent"),
    scenario("full", "rsa4096"),
)
