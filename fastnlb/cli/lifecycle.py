"""`fastnlb reload`, `upgrade` and `stop`: a daemon does what it is told, and the command says what came of it.

Exit status: 0 done, 1 refused (everything is as before), 2 usage, 4 the daemon does not answer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

import click

from fastnlb.cli.admin_client import act, ask, demand
from fastnlb.cli.printing import say
from fastnlb.cli.progress import waiting
from fastnlb.cli.target import NoAnswer, Target, which_daemon
from fastnlb.master.exits import EXIT_REFUSED
from fastnlb.procstat import process_state

POLL_SECONDS = 0.05
STOP_GRACE_SECONDS = 10.0


@click.command()
@which_daemon
def reload(daemon: Target) -> None:
    """Read the configuration again; prints what changed, or why nothing did."""
    for line in act("reload", daemon, "reloading"):
        say(line)


@click.command()
@which_daemon
def upgrade(daemon: Target) -> None:
    """Hot restart: start the program anew with the same sockets, and lose no connection."""
    for line in act("upgrade", daemon, "starting anew"):
        say(line)


@click.command()
@which_daemon
@click.pass_context
def stop(context: click.Context, daemon: Target) -> None:
    """Drain, and end; returns when the daemon is gone."""
    state = demand(daemon, "GET", "/api/v1/status").data
    pid, patience = int(state["pid"]), float(state["shutdown_timeout"]) + STOP_GRACE_SECONDS
    for line in act("stop", daemon, "stopping"):
        say(line)
    with waiting(f"draining, for at most {state['shutdown_timeout']:.0f} s"):
        gone = _silent(daemon, patience) if daemon.remote else _gone(pid, patience)
    if not gone:
        click.echo(f"process {pid} has not ended within {patience:.0f} s", err=True)
        context.exit(EXIT_REFUSED)
    click.echo("stopped")


def _silent(daemon: Target, seconds: float) -> bool:
    """Whether one on another machine has stopped to answer; what drains there is not seen from here."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            ask(daemon, "GET", "/api/v1/status")
        except NoAnswer:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            if process_state(pid) == "Z":
                return True  # ended; that its parent has not looked yet is not ours to wait for
            time.sleep(POLL_SECONDS)
        return False
    return True
