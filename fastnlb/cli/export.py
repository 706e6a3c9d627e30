"""`fastnlb export`: what a daemon serves, as a file that `fastnlb apply` takes.  Keys stay where they are."""

from __future__ import annotations

import click

from fastnlb.cli.admin_client import demand
from fastnlb.cli.printing import JSON, YAML, output_option, show_data
from fastnlb.cli.target import Target, which_daemon


@click.command()
@output_option(YAML, JSON)
@which_daemon
def export(daemon: Target, output: str) -> None:
    """Print everything that the daemon serves, without private keys."""
    show_data(demand(daemon, "GET", "/api/v1/export").data, output)
