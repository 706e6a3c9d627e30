"""`fastnlb run`: the daemon, from a configuration file.

Everything that can be refused is refused before the first fork, with its place in the file.
Exit status: 0 ended as asked, 1 refused, 2 usage, 3 cannot start.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from fastnlb.cli import log
from fastnlb.cli.daemon import Launch, detach
from fastnlb.cli.options import WorkersType
from fastnlb.cli.serve import serve
from fastnlb.config.errors import ConfigError, Problem
from fastnlb.config.load import Loaded, Loader
from fastnlb.control.source import Start
from fastnlb.master.arbiter import EXIT_CANNOT_START, EXIT_REFUSED
from fastnlb.model import Settings


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--workers", type=WorkersType(), help="Overrides `workers` of the file.")
@click.option("--pid-file", type=click.Path(path_type=Path), help="Where to write the process id.")
@click.option("--daemon", is_flag=True, help="Go to the background, once every worker accepts.")
@click.pass_context
def run(context: click.Context, config: Path, workers: int | None, pid_file: Path | None, daemon: bool) -> None:
    """Run the daemon until it is told to stop."""
    loader = Loader(config.absolute(), workers_override=workers)  # a daemon changes its directory
    loaded = _load(context, loader, click.format_filename(config))
    log.setup(loaded.settings.log_level, loaded.settings.log_format)
    if pid_file is None:
        pid_file = _in_run_dir(context, loaded.settings)
    if pid_file is not None:
        pid_file = pid_file.absolute()
    code = _serve(loader, loaded, pid_file, detach() if daemon else None)
    context.exit(code)


def _serve(loader: Loader, loaded: Loaded, pid_file: Path | None, launch: Launch | None) -> int:
    begin = partial(serve, loaded.snapshot, loaded.settings, pid_file=pid_file, start=Start(loader, loaded))
    if launch is None:
        return begin()
    code = begin(on_ready=launch.ready, in_child=launch.leave)
    launch.report(code)
    return code


def _load(context: click.Context, loader: Loader, file: str) -> Loaded:
    try:
        loaded = loader.load()
    except ConfigError as error:
        _print(error.problems, file)
        context.exit(EXIT_REFUSED)
    _print(loaded.warnings, file)
    return loaded


def _print(problems: tuple[Problem, ...], file: str) -> None:
    for problem in problems:
        click.echo(problem.render(file), err=True)


def _in_run_dir(context: click.Context, settings: Settings) -> Path | None:
    """The pid file in the folder the configuration names, which is made for us alone if need be."""
    if settings.run_dir is None:
        return None
    try:
        Path(settings.run_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        click.echo(f"fastnlb: cannot create the folder {settings.run_dir}: {error.strerror}", err=True)
        context.exit(EXIT_CANNOT_START)
    return Path(settings.run_dir) / "fastnlb.pid"
