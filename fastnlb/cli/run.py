"""`fastnlb run`: the daemon, from a configuration file, or from a state directory that the API writes.

Everything that can be refused is refused before the first fork, with its place in the file.
Exit status: 0 ended as asked, 1 refused, 2 usage, 3 cannot start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from fastnlb.cli import log
from fastnlb.cli.daemon import detach
from fastnlb.cli.options import WorkersType
from fastnlb.cli.origin import Origin, find_origin
from fastnlb.cli.serve import serve
from fastnlb.config.errors import ConfigError, Problem
from fastnlb.config.load import Loaded, Loader
from fastnlb.control.source import Start
from fastnlb.control.store.errors import StateDirError, StoreError
from fastnlb.control.store.loader import StoreLoader
from fastnlb.master.exits import EXIT_CANNOT_START, EXIT_REFUSED
from fastnlb.model import STDOUT


@click.command()
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Store mode: the API changes what is served, and it is kept here.  The file then has the settings.",
)
@click.option("--workers", type=WorkersType(), help="Overrides `workers` of the file.")
@click.option("--pid-file", type=click.Path(path_type=Path), help="Where to write the process id.")
@click.option("--daemon", is_flag=True, help="Go to the background, once every worker accepts.")
@click.pass_context
def run(
    context: click.Context,
    *,
    config: Path | None,
    state_dir: Path | None,
    workers: int | None,
    pid_file: Path | None,
    daemon: bool,
) -> None:
    """Run the daemon until it is told to stop."""
    origin = find_origin()
    loader = _loader(config, state_dir, workers)
    loaded = _load(context, loader, click.format_filename(config or state_dir or ""), origin)
    if daemon and loaded.snapshot.access_log == STDOUT:
        _refuse(context, "logging.access_log: a daemon leaves its standard output; name a file", origin)
    log.setup(loaded.settings.log_level, loaded.settings.log_format)
    begin = partial(
        serve,
        loaded.snapshot,
        loaded.settings,
        pid_file=None if pid_file is None else pid_file.absolute(),
        start=Start(loader, loaded),
        origin=origin,
    )
    context.exit(_detached(begin) if daemon and origin.predecessor is None else begin())


def _detached(begin: Callable[..., int]) -> int:
    launch = detach()
    code = begin(on_ready=launch.ready, in_child=launch.leave)
    launch.report(code)
    return code


def _loader(config: Path | None, state_dir: Path | None, workers: int | None) -> Loader | StoreLoader:
    if state_dir is not None:
        return StoreLoader(state_dir, config, workers_override=workers)
    if config is None:
        raise click.UsageError("-c FILE or --state-dir DIR is needed")
    return Loader(config, workers_override=workers)


def _load(context: click.Context, loader: Loader | StoreLoader, file: str, origin: Origin) -> Loaded:
    try:
        loaded = _first_load(loader, alone=origin.predecessor is None)
    except ConfigError as error:
        _print(error.problems, file)
        origin.failed("; ".join(problem.render(file) for problem in error.problems if not problem.warning))
        context.exit(EXIT_REFUSED)
    except StoreError as error:
        click.echo(f"fastnlb: {error}", err=True)
        origin.failed(str(error))
        context.exit(EXIT_CANNOT_START if isinstance(error, StateDirError) else EXIT_REFUSED)
    _print(loaded.warnings, file)
    return loaded


def _refuse(context: click.Context, why: str, origin: Origin) -> None:
    click.echo(f"fastnlb: {why}", err=True)
    origin.failed(why)
    context.exit(EXIT_REFUSED)


def _first_load(loader: Loader | StoreLoader, *, alone: bool) -> Loaded:
    return loader.start(alone=alone) if isinstance(loader, StoreLoader) else loader.load()


def _print(problems: tuple[Problem, ...], file: str) -> None:
    for problem in problems:
        click.echo(problem.render(file), err=True)
