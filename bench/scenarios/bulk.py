"""Bulk data over connections that stand already; `transfers` is for plain ones too."""

from __future__ import annotations

from bench._load import Crowd
from bench.clients import Client
from bench.peers import Setup
from bench.results import Sample
from bench.running import Site
from bench.scenario import PER_KIB, Effort, Scenario, measured


def transfers(direction: str, count: int, client: Client | None, *, quick: bool = False) -> Scenario:
    """`direction` is download or upload; all connections together move effort.bulk bytes."""

    def run(site: Site, effort: Effort) -> Sample:
        each = effort.bulk // count
        with Crowd(site.target(client), count) as crowd:
            work = crowd.download if direction == "download" else crowd.upload
            return measured(site, lambda: work(each))

    family = "bulk" if client else "plain"
    return Scenario(
        f"{family}-{direction}-{count}",
        family,
        f"{direction}, {count} connection{'s'[: count - 1]}",
        (PER_KIB,),
        run,
        Setup(tls=client is not None),
        client,
        quick=quick,
    )


SCENARIOS = tuple(
    transfers(direction, count, Client(), quick=count != 8)
    for direction in ("download", "upload")
    for count in (1, 8, 64)
)
