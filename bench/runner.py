"""Drives the proxies in turn (A B C A B C ...), family by family, and collects rows.

All proxies of a family run at once, so what the machine does beside falls on each of them alike.  One that cannot do
a scenario is skipped by name with the reason; one that dies keeps the samples it has and is reported; the rest go on.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

from bench.peers import Peer, Setup
from bench.procfs import ProcessGoneError
from bench.results import FLOOR, SUBJECT, Row, Sample
from bench.running import CannotStartError, Estate, Site
from bench.scenario import Effort, Scenario, check

FAILURES = (OSError, RuntimeError, ProcessGoneError, subprocess.SubprocessError)
Say = Callable[[str], None]


@dataclass
class Found:
    """What one scenario has come to so far."""

    scenario: Scenario
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        it = self.scenario
        return [Row(it.id, it.family, it.title, metric, self.samples, self.skipped) for metric in it.metrics]

    def skip(self, name: str, reason: str) -> None:
        self.skipped[name] = " ".join(reason.split())


class Family:
    """The scenarios of one family, and the proxies they share."""

    def __init__(
        self, scenarios: Sequence[Scenario], peers: Sequence[Peer], effort: Effort, folder: Path, say: Say
    ) -> None:
        self.found = [Found(each) for each in scenarios]
        self._peers = peers
        self._effort = effort
        self._folder = folder
        self._say = say
        self._estate = Estate(folder)
        self._sites: dict[tuple[str, Setup], Site | str] = {}

    def measure(self) -> list[Row]:
        with self._estate:
            for number in range(self._effort.rounds):
                self._round(number)
        return [row for each in self.found for row in each.rows()]

    def _round(self, number: int) -> None:
        for found in self.found:
            if number >= found.scenario.rounds:
                continue
            self._say(f"{found.scenario.id}, round {number + 1}")
            for peer in self._wanted(found.scenario):
                if peer.name not in found.skipped:
                    self._take(found, peer.name, partial(self._sample, found, peer))
            floor = found.scenario.floor
            if floor is not None and FLOOR not in found.skipped:
                self._take(found, FLOOR, partial(floor, self._folder, self._effort))

    def _wanted(self, scenario: Scenario) -> Iterator[Peer]:
        return (peer for peer in self._peers if not scenario.only or peer.name in scenario.only)

    def _take(self, found: Found, name: str, work: Callable[[], Sample]) -> None:
        """A sample, or the reason that there will be no more of them."""
        try:
            taken = work()
        except CannotStartError as error:
            found.skip(name, str(error))
        except FAILURES as error:
            found.skip(name, self._obituary(found.scenario, name) or f"failed: {error}")
        else:
            if taken.units:
                found.samples.setdefault(name, []).append(taken)
            else:
                found.skip(name, self._obituary(found.scenario, name) or "failed: not one unit of work came through")

    def _obituary(self, scenario: Scenario, name: str) -> str:
        """Says that the proxy is dead, if it is."""
        site = self._sites.get((name, scenario.setup))
        if not isinstance(site, Site) or site.process.alive:
            return ""
        return f"died with status {site.process.status}: {site.process.last_words()}"

    def _sample(self, found: Found, peer: Peer) -> Sample:
        scenario = found.scenario
        if scenario.fresh:
            with self._estate.fresh(peer, scenario.setup) as site:
                return self._on(found, site)
        return self._on(found, self._site(peer, scenario.setup))

    def _on(self, found: Found, site: Site) -> Sample:
        scenario, name = found.scenario, site.peer.name
        # Whoever has answered once is not asked again.
        if name not in found.samples and (reason := check(site, scenario.client)):
            raise CannotStartError(self._obituary(scenario, name) or reason)
        return scenario.run(site, self._effort)

    def _site(self, peer: Peer, setup: Setup) -> Site:
        """The one that runs, started when it is first asked for.  Raises CannotStartError, each time the same."""
        key = (peer.name, setup)
        if key not in self._sites:
            try:
                self._sites[key] = self._estate.site(peer, setup)
            except CannotStartError as error:
                self._sites[key] = str(error)
        site = self._sites[key]
        if isinstance(site, str):
            raise CannotStartError(site)
        return site


def measure(
    scenarios: Sequence[Scenario], peers: Sequence[Peer], effort: Effort, folder: Path, say: Say
) -> Iterator[list[Row]]:
    """The rows of each family as soon as they are there; `folder` is for configurations and keys."""
    folder.chmod(0o755)  # proxies read their certificates as other users
    for _, scenarios_of in groupby(scenarios, key=lambda each: each.family):
        yield Family(list(scenarios_of), peers, effort, folder, say).measure()


def failures(rows: Sequence[Row]) -> list[str]:
    """Rows that fastnlb itself has no sample for: a run that has any is not a good one."""
    return [f"{row.id}: {row.skipped.get(SUBJECT, 'no sample')}" for row in rows if not row.values(SUBJECT)]
