"""`fastnlb server-group`: server groups of a running daemon, and the servers in them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from fastnlb.cli.admin_client import demand
from fastnlb.cli.change import DRY_RUN, IF_MATCH, YES, asks, confirm, dry, matching, show_change
from fastnlb.cli.kinds import SERVER_GROUP
from fastnlb.cli.printing import output_option
from fastnlb.cli.resource_commands import ResourceGroup, name_argument
from fastnlb.cli.target import Target, which_daemon

_SERVER = click.argument("server", metavar="ADDRESS:PORT")
_WEIGHT = click.option("--weight", type=int, metavar="N", help="Its share of new connections, 0 to 100; 0 = none.")


@click.command()
@name_argument(SERVER_GROUP)
@_SERVER
@_WEIGHT
@DRY_RUN
@IF_MATCH
@output_option()
@which_daemon
def add_server(*, daemon: Target, name: str, server: str, weight: int | None, **how: Any) -> None:
    """Add a server to a group: an address, a host name or unix:/path."""
    from fastnlb.cli.block_options import server_of  # noqa: PLC0415  with the schema

    body = {**server_of(server), **({} if weight is None else {"weight": weight})}
    _write(daemon, "POST", name, "", body, **how)


@click.command()
@name_argument(SERVER_GROUP)
@_SERVER
@_WEIGHT
@click.option("--set-port", type=int, metavar="N", help="Another port for it.")
@DRY_RUN
@IF_MATCH
@output_option()
@which_daemon
def update_server(
    *, daemon: Target, name: str, server: str, weight: int | None, set_port: int | None, **how: Any
) -> None:
    """Change a server of a group; with --weight 0 it gets no new connections."""
    body = {key: value for key, value in (("weight", weight), ("port", set_port)) if value is not None}
    if not body:
        raise click.UsageError("there is nothing to change: give --weight")
    _write(daemon, "PATCH", name, server, body, **how)


@click.command()
@name_argument(SERVER_GROUP)
@_SERVER
@YES
@DRY_RUN
@IF_MATCH
@output_option()
@which_daemon
def remove_server(*, daemon: Target, name: str, server: str, yes: bool, dry_run: bool, **how: Any) -> None:
    """Take a server out of a group, after a question on a terminal."""
    if asks(yes) and not dry_run:
        confirm(f"remove server {server} from {SERVER_GROUP.subject(name)}?")
    _write(daemon, "DELETE", name, server, None, dry_run=dry_run, **how)


def _write(
    daemon: Target,
    method: str,
    name: str,
    server: str,
    body: object,
    *,
    dry_run: bool,
    if_match: str | None,
    output: str,
) -> None:
    url = f"{SERVER_GROUP.url_of(name)}/servers" + (f"/{quote(server, safe='')}" if server else "")
    subject = SERVER_GROUP.subject(name)
    answer = demand(daemon, method, url, subject, query=dry(dry_run), headers=matching(if_match), body=body)
    show_change(answer, output, subject, dry_run=dry_run)


server_group = ResourceGroup(
    SERVER_GROUP,
    "server-group",
    "Server groups of a running daemon, and the servers in them.",
    {
        "add-server": lambda: add_server,
        "update-server": lambda: update_server,
        "remove-server": lambda: remove_server,
    },
)
