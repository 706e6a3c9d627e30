"""`fastnlb reload`, `upgrade` and `stop`: a daemon does what it is told, and the command says what came of it.

Exit status: 0 done, 1 refused (everything is as before), 2 usage, 4 the daemon does not answer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import click

from fastnlb.cli.admin_client import act, ask, which_daemon
from fastnlb.master.exits import EXIT_REFUSED

POLL_SECONDS = 0.05
STOP_GRACE_SECONDS = 10.0


@click.command()
@which_daemon
def reload(pid_file: Path | None, admin: Path | None) -> None:
    """Read the configuration again; prints what changed, or why nothing did."""
    for line in act("reload", pid_file, admin):
        click.echo(line)


@click.command()
@which_daemon
def upgrade(pid_file: Path | None, admin: Path | None) -> None:
    """Hot restart: start the program anew with the same sockets, and lose no connection."""
    for line in act("upgrade", pid_file, admin):
        click.echo(line)


@click.command()
@which_daemon
@click.pass_context
def stop(context: click.Context, pid_file: Path | None, admin: Path | None) -> None:
    """Drain, and end; returns when the daemon is gone."""
    _, state = ask("GET", "/api/v1/status", pid_file, admin)
    pid, patience = int(state["pid"]), float(state["shutdown_timeout"]) + STOP_GRACE_SECONDS
    for line in act("stop", pid_file, admin):
        click.echo(line)
    if not _gone(pid, patience):
        click.echo(f"process {pid} has not ended within {patience:.0f} s", err=True)
        context.exit(EXIT_REFUSED)
    click.echo("stopped")


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            if _is_zombie(pid):
                return True  # ended; that its parent has not looked yet is not ours to wait for
            time.sleep(POLL_SECONDS)
        return False
    return True


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] == "Z"
    return False
