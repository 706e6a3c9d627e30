"""Which daemon a command is for, and as whom: the options, and what they come to.

A daemon on this machine is reached through its admin socket, another one by its URL with a bearer token.  A token is
never an argument, which every user of the machine could read: it comes from a file or the environment.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import click
from click.core import ParameterSource

from fastnlb.cli.rundir import RunDirError, find

EXIT_NO_ANSWER = 4
TOKEN_VARIABLE = "FASTNLB_TOKEN"  # noqa: S105  the name of a variable
PORTS = {"http": 80, "https": 443}

CONNECTION = ("admin", "pid_file", "url", "token_file", "ca_file")
"""The parameters of the options below, where all of them are there."""

C = TypeVar("C", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False)
_LOCAL = (
    click.option("--admin", type=click.Path(path_type=Path), help="The admin socket of the daemon that is meant."),
    click.option("--pid-file", type=click.Path(path_type=Path), help="The pid file of the daemon that is meant."),
)
_REMOTE = (
    click.option(
        "--url", metavar="URL", envvar="FASTNLB_URL", show_envvar=True, help="The daemon at http(s)://host:port."
    ),
    click.option(
        "--token-file",
        type=_FILE,
        envvar="FASTNLB_TOKEN_FILE",
        show_envvar=True,
        help=f"The file with the bearer token for --url; or the token in {TOKEN_VARIABLE}.",
    ),
    click.option(
        "--ca-file",
        type=_FILE,
        envvar="FASTNLB_CA_FILE",
        show_envvar=True,
        help="Whom to trust for the certificate of --url, PEM; default: whom the system trusts.",
    ),
)


class NoAnswer(click.ClickException):
    """The daemon does not answer."""

    exit_code = EXIT_NO_ANSWER

    def show(self, file: Any = None) -> None:
        click.echo(f"fastnlb: {self.message}", err=True)


@dataclass(frozen=True, slots=True)
class Target:
    """A daemon; without any of these the one that this user runs."""

    pid_file: Path | None = None
    admin: Path | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @property
    def named(self) -> bool:
        """Whether somebody has said which daemon is meant."""
        return bool(self.pid_file or self.admin or self.url)

    @property
    def remote(self) -> bool:
        return self.url is not None

    def socket(self) -> Path:
        """The admin socket of a daemon on this machine.  Raises NoAnswer."""
        try:
            return find(self.pid_file, self.admin)
        except RunDirError as error:
            raise NoAnswer(str(error)) from error

    def place(self) -> SplitResult:
        """The URL of one that is not."""
        return urlsplit(self.url or "")


def which_daemon(command: C) -> C:
    """The options of a command whose parameter `daemon` is a Target."""
    return _with(command, (*_LOCAL, *_REMOTE))


def which_local_daemon(command: C) -> C:
    """Likewise, where only one on this machine makes sense."""
    return _with(command, _LOCAL)


def target_of(context: click.Context) -> Target:
    """What the options of a command come to.  Raises click.UsageError."""
    given = context.params
    pid_file, admin, url = (given.get(each) for each in ("pid_file", "admin", "url"))
    if not url or (pid_file is None and admin is None):
        return _remote(url, given) if url else Target(pid_file, admin)
    if context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--url is another daemon than that of --admin or --pid-file: give one of them")
    return Target(pid_file, admin)  # what is typed counts more than the environment


def _with(command: C, options: tuple[Callable[[Any], Any], ...]) -> C:
    @functools.wraps(command)
    def with_target(*args: Any, **kwargs: Any) -> Any:
        others = {key: value for key, value in kwargs.items() if key not in CONNECTION}
        return command(*args, daemon=target_of(click.get_current_context()), **others)

    made: Any = with_target
    for option in reversed(options):
        made = option(made)
    return made  # type: ignore[no-any-return]


def _remote(url: str, given: dict[str, Any]) -> Target:
    url = url.rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise click.UsageError("--url: it takes http(s)://host:port") from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or parts.query or parts.fragment:
        raise click.UsageError("--url: it takes http(s)://host:port")
    if parts.username is not None:
        raise click.UsageError(f"--url: no password in it; a token is given by --token-file or {TOKEN_VARIABLE}")
    return Target(url=url, token=_token(given.get("token_file")), ca_file=given.get("ca_file"))


def _token(file: Path | None) -> str | None:
    try:
        text = file.read_text("ascii") if file is not None else os.environ.get(TOKEN_VARIABLE, "")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no token"
        raise click.UsageError(f"--token-file {file}: cannot read: {reason}") from None
    token = text.strip()
    if not token and file is not None:
        raise click.UsageError(f"--token-file {file}: it holds no token")
    if not token.isascii() or not all(each.isprintable() and each != " " for each in token):
        raise click.UsageError(f"{f'--token-file {file}' if file else TOKEN_VARIABLE}: it holds no token")
    return token or None
