"""`fastnlb completion`: the script that makes a shell complete commands, options and their values.

The script asks `fastnlb` itself at each press of the key, so it need not be made again for another version.
"""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_FASTNLB_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for bash, zsh or fish; the shell reads it when it starts."""
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - for the type checker
    program = context.find_root()
    # Not made.source(), which for bash runs a bash to look at its version: this one may be for another machine.
    click.echo(ShellComplete.source(made(program.command, {}, program.info_name or "fastnlb", VARIABLE)))
