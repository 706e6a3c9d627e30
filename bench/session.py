"""One run from the command line: chooses, measures, and writes after every family, so an interrupted run has rows."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import charts, machine, peers, runner, table
from bench.peers import PEERS, Peer
from bench.processes import PROCESSORS, ending_in_order
from bench.results import Results
from bench.running import take_the_other_processor
from bench.scenario import FULL, QUICK, Effort
from bench.scenarios import SCENARIOS, chosen

FOLDER = machine.ROOT / "bench" / "results"


class CannotRunError(Exception):
    """What this machine lacks, in one line."""


def run(options: argparse.Namespace) -> int:
    """The exit status: 1 when fastnlb could not do a row.  Raises CannotRunError, and ValueError for a bad choice."""
    scenarios, proxies = chosen(options.only, quick=options.quick), peers.named(options.peers)
    effort = _effort(options)
    _demand()
    take_the_other_processor()
    results = Results(_about(proxies, effort))
    folder = options.out or FOLDER / f"{results.about['date']}-{options.name or results.about['commit'] or 'run'}"
    folder.mkdir(parents=True, exist_ok=True)
    with ending_in_order(), tempfile.TemporaryDirectory(prefix="fastnlb-bench-") as scratch:
        for rows in runner.measure(scenarios, proxies, effort, Path(scratch), _progress):
            results.rows += rows
            _write(results, folder)
            print(table.markdown(Results({}, rows)).partition("\n\n")[2], flush=True)
    _draw(results, folder)
    print(f"written to {folder}")
    failed = runner.failures(results.rows)
    for line in failed:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if failed else 0


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    if options.rounds is not None and options.rounds < 1:
        raise ValueError("--rounds: at least 1")
    if options.seconds is not None and options.seconds <= 0:
        raise ValueError("--seconds: more than 0")
    wishes = {"rounds": options.rounds, "seconds": options.seconds}
    return dataclasses.replace(effort, **{name: wish for name, wish in wishes.items() if wish is not None})


def _demand() -> None:
    if len(PROCESSORS) < 2:
        raise CannotRunError("two processors are needed: one for the proxy, one for the load")
    if shutil.which("taskset") is None:
        raise CannotRunError("taskset is not installed (Debian: apt-get install util-linux)")


def _about(proxies: Sequence[Peer], effort: Effort) -> dict[str, object]:
    versions = {}
    for peer in proxies:
        program = peer.find()
        if program is not None and peer.name != "fastnlb":
            versions[peer.name] = peer.version(program)
    return {**machine.about(versions), "rounds": effort.rounds, "seconds": effort.seconds}


def _progress(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _write(results: Results, folder: Path) -> None:
    results.save(folder / "results.json")
    (folder / "table.md").write_text(table.markdown(results))


def _draw(results: Results, folder: Path) -> None:
    try:
        charts.draw(results, folder)
    except charts.NoChartsError as error:
        _progress(str(error))


def listing() -> Iterator[str]:
    """Lines: what there is to run, and who runs it here."""
    width = max(len(each.id) for each in SCENARIOS)
    for each in SCENARIOS:
        yield f"{each.id:{width}}  {each.title}{' (quick)' if each.quick else ''}"
    yield ""
    for peer in PEERS:
        program = peer.find()
        yield f"{peer.name:{width}}  {peer.version(program) if program else 'not installed'}"
