"""A scenario: the work that proxies are given in one Setup, by which clients, and by what it is read.

`run(site, effort)` does the work once and returns its sample; `floor(folder, effort)` is the same without a proxy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench._load import Outcome, connections
from bench.clients import Client
from bench.peers import Setup
from bench.results import Metric, Sample

if TYPE_CHECKING:
    from bench.running import Site

MIB = 1 << 20
PER_CONNECTION = Metric("cpu", "us", 1e3, item="connection")
PER_TRIP = Metric("cpu", "us", 1e3, item="round trip")
PER_KIB = Metric("cpu", "ns/KiB", item="KiB")
P50, P99 = Metric("p50", "us, p50"), Metric("p99", "us, p99")


@dataclass(frozen=True)
class Effort:
    """How long a run takes: seconds and bytes of one sample, rounds, reloads and handshakes of the library."""

    rounds: int
    seconds: float
    bulk: int
    reloads: int
    handshakes: int


FULL = Effort(rounds=5, seconds=2.0, bulk=512 * MIB, reloads=10, handshakes=1000)
QUICK = Effort(rounds=3, seconds=0.5, bulk=64 * MIB, reloads=3, handshakes=200)


@dataclass(frozen=True)
class Scenario:
    """`only` names the proxies it is about, () all of them; `fresh` wants a proxy that has served nobody yet.

    `quick` ones are in a short run; `rounds` is how many at most; the first of `metrics` is the headline.
    """

    id: str
    family: str
    title: str
    metrics: tuple[Metric, ...]
    run: Callable[[Site, Effort], Sample]
    setup: Setup = field(default_factory=Setup)
    client: Client | None = None
    only: tuple[str, ...] = ()
    fresh: bool = False
    quick: bool = False
    rounds: int = 100
    floor: Callable[[Path, Effort], Sample] | None = None


def check(site: Site, client: Client | None) -> str:
    """Why no such client is served, or "" when one is; a session is made and then resumed where clients resume."""
    resume = client is not None and client.resume
    outcome = connections(site.target(client), count=3, resume=resume)
    if outcome.units:
        return ""
    return f"no connection came through: the client offers {client.offer if client else 'plain TCP'}"


def measured(site: Site, work: Callable[[], Outcome]) -> Sample:
    """What the proxy's processor time was for this work.  Raises ProcessGoneError."""
    before = site.processor_ns()
    outcome = work()
    return sample(outcome, site.processor_ns() - before)


def sample(outcome: Outcome, cpu_ns: float = 0.0, **extra: float) -> Sample:
    middle, late = (outcome.at(0.5), outcome.at(0.99)) if outcome.latencies_us else (0.0, 0.0)
    return Sample(outcome.units, outcome.seconds, cpu_ns, middle, late, outcome.failed, extra=extra)
