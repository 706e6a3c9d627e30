"""Ping-pong: a message goes, the echo comes, the next goes; `echo` is for other families too."""

from __future__ import annotations

from bench._load import Crowd
from bench.clients import Client
from bench.results import Sample
from bench.running import Site
from bench.scenario import PER_TRIP, Effort, Scenario, measured

CLIENT = Client()
SIZES = {128: "128 B", 1024: "1 KiB"}


def echo(site: Site, effort: Effort, size: int, count: int, active: int | None = None) -> Sample:
    """`active` of `count` connections talk, the others stand idle beside them; None for all."""
    with Crowd(site.target(CLIENT), count) as crowd:
        return measured(site, lambda: crowd.echo(size=size, seconds=effort.seconds, active=active))


def scenario(size: int, count: int) -> Scenario:
    def run(site: Site, effort: Effort) -> Sample:
        return echo(site, effort, size, count)

    return Scenario(
        f"message-{size}-{count}",
        "messages",
        f"{SIZES[size]} there and back, {count} connection{'s'[: count - 1]}",
        (PER_TRIP,),
        run,
        client=CLIENT,
        quick=size == 128,
    )


SCENARIOS = tuple(scenario(size, count) for size in SIZES for count in (1, 64))
