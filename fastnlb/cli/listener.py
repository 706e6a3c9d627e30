"""`fastnlb listener`: listeners of a running daemon."""

from __future__ import annotations

import click

from fastnlb.cli.admin_client import demand
from fastnlb.cli.change import show_change
from fastnlb.cli.kinds import LISTENER
from fastnlb.cli.listener_quick import quick
from fastnlb.cli.printing import TABLE, output_option, say, show_data, show_table
from fastnlb.cli.resource_commands import ResourceGroup, name_argument
from fastnlb.cli.resource_text import server_place
from fastnlb.cli.target import Target, which_daemon


@click.command()
@name_argument(LISTENER)
@output_option()
@which_daemon
def start(daemon: Target, name: str, output: str) -> None:
    """Have a stopped listener accept clients again."""
    _switch(daemon, name, "start", output)


@click.command()
@name_argument(LISTENER)
@output_option()
@which_daemon
def stop(daemon: Target, name: str, output: str) -> None:
    """Have a listener accept no more clients; its connections go on."""
    _switch(daemon, name, "stop", output)


@click.command()
@name_argument(LISTENER)
@output_option()
@which_daemon
def health(daemon: Target, name: str, output: str) -> None:
    """Show the health of the servers behind a listener."""
    answer = demand(daemon, "GET", f"{LISTENER.url_of(name)}/health", LISTENER.subject(name)).data
    if output != TABLE:
        show_data(answer, output)
        return
    checked = "" if answer.get("health_check_enabled", True) else ", which is not checked"
    say(f"listener {name}, server group {answer.get('server_group')}{checked}")
    say("")
    show_table(
        ("SERVER", "WEIGHT", "STATUS", "REASON", "CONNECTIONS"),
        [
            (
                server_place(each),
                each.get("weight"),
                str(each.get("status") or "").lower(),
                each.get("reason_code"),
                each.get("connections"),
            )
            for each in answer.get("servers") or []
        ],
    )


def _switch(daemon: Target, name: str, what: str, output: str) -> None:
    subject = LISTENER.subject(name)
    answer = demand(daemon, "POST", f"{LISTENER.url_of(name)}/{what}", subject)
    show_change(answer, output, subject)


listener = ResourceGroup(
    LISTENER,
    "listener",
    "Listeners of a running daemon: what clients connect to.",
    {"start": lambda: start, "stop": lambda: stop, "health": lambda: health, "quick": lambda: quick},
)
