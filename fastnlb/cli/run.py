"""`fastnlb run`: the daemon, from a configuration file.

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
from fastnlb.master.exits import EXIT_REFUSED


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--workers", type=WorkersType(), help="Overrides `workers` of the file.")
@click.option("--pid-file", type=click.Path(path_type=Path), help="Where to write the process id.")
@click.option("--daemon", is_flag=True, help="Go to the background, once every worker accepts.")
@click.pass_context
def run(context: click.Context, config: Path, workers: int | None, pid_file: Path | None, daemon: bool) -> None:
    """Run the daemon until it is told to stop."""
    origin = find_origin()
    loader = Loader(config.absolute(), workers_override=workers)  # a daemon changes its directory
    loaded = _load(context, loader, click.format_filename(config), origin)
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


def _load(context: click.Context, loader: Loader, file: str, origin: Origin) -> Loaded:
    try:
        loaded = loader.load()
    except ConfigError as error:
        _print(error.problems, file)
        origin.failed("; ".join(problem.render(file) for problem in error.problems if not problem.warning))
        context.exit(EXIT_REFUSED)
    _print(loaded.warnings, file)
    return loaded


def _print(problems: tuple[Problem, ...], file: str) -> None:
    for problem in problems:
        click.echo(problem.render(file), err=True)
