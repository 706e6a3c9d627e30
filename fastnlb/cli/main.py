"""The `fastnlb` command.  Sub-commands are imported when they are asked for: help and errors stay quick.

Exit codes: 0 done, 1 refused or failed, 2 usage, 3 cannot start, 4 no answer, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from fastnlb import __version__

COMMANDS = {
    "quick": ("fastnlb.cli.quick", "Serve one listener from the command line."),
    "run": ("fastnlb.cli.run", "Run the daemon, from a file or a state directory."),
    "check": ("fastnlb.cli.check", "Check a configuration file."),
    "status": ("fastnlb.cli.status", "Show a running daemon: workers, listeners, servers."),
    "top": ("fastnlb.cli.top", "Watch a running daemon: connections, rates, load, health."),
    "reload": ("fastnlb.cli.lifecycle", "Have a running daemon read its configuration again."),
    "upgrade": ("fastnlb.cli.lifecycle", "Start a running daemon anew, without losing a connection."),
    "stop": ("fastnlb.cli.lifecycle", "Drain a running daemon, and end it."),
    "token": ("fastnlb.cli.token", "Bearer tokens for the API over TCP."),
    "listener": ("fastnlb.cli.listener", "Listeners of a running daemon."),
    "server-group": ("fastnlb.cli.server_group", "Server groups of a running daemon, and their servers."),
    "certificate": ("fastnlb.cli.certificate", "Certificates of a running daemon."),
    "ca-certificate": ("fastnlb.cli.ca_certificate", "CA certificates of a running daemon."),
    "security-policy": ("fastnlb.cli.policy", "Security policies: the system's, and your own."),
    "apply": ("fastnlb.cli.apply", "Make what a running daemon serves what a file says."),
    "export": ("fastnlb.cli.export", "Print what a running daemon serves, as such a file."),
    "history": ("fastnlb.cli.history", "Revisions of what a daemon serves, and going back to one."),
    "schema": ("fastnlb.cli.schema", "Print the JSON Schema of the configuration file."),
    "completion": ("fastnlb.cli.completion", "Print the completion script for a shell."),
    "demo": ("fastnlb.cli.demo", "Serve a demo page over TLS, to try it out."),
}

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to use it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands by name alone: click would import each of them for its help."""
        known = [
            CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return known + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="fastnlb %(version)s")
def main() -> None:
    """A network load balancer: TLS in, plaintext TCP out."""


def run() -> NoReturn:
    """The console script: whatever happens ends in an exit code and at most one line."""
    sys.exit(_run())


def _run() -> int:
    _open_standard_streams()
    try:
        code = main.main(prog_name="fastnlb", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return EXIT_FAILED
    except Exception as error:
        _explain(error)
        return EXIT_FAILED
    return code if isinstance(code, int) else 0


def _open_standard_streams() -> None:
    """Whoever closed one of them gets /dev/null, or the next file opened would take its number and our words."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: fd
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115 - for the life of the process


def _forget_output() -> None:
    """Whoever read it has gone, as `head` does; Python would complain at its end about what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _explain(error: Exception) -> None:
    """One line; all of it for whoever wants to look inside."""
    if os.environ.get("FASTNLB_DEBUG") == "1":
        traceback.print_exception(error)
        return
    text = " ".join(f"{type(error).__name__}: {error}".split())
    with suppress(OSError):
        click.echo(f"fastnlb: unexpected error: {text} (FASTNLB_DEBUG=1 shows where)", err=True)
