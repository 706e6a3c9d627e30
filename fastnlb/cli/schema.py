"""`fastnlb schema`: the JSON Schema of the configuration file, for editors."""

from __future__ import annotations

import json

import click

from fastnlb.config.json_schema import json_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of fastnlb.yaml, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))
