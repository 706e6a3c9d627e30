"""Requests to a running daemon through its admin socket, and the options that say which daemon is meant."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fastnlb.cli.rundir import RunDirError, find
from fastnlb.master.exits import EXIT_REFUSED

EXIT_NO_ANSWER = 4

OK = 200
CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 600.0
"""For an answer: a reload may have ten thousand certificates to read, a hot restart waits for its successor."""

C = TypeVar("C", bound=Callable[..., object])


class NoAnswer(click.ClickException):
    """The daemon does not answer."""

    exit_code = EXIT_NO_ANSWER

    def show(self, file: Any = None) -> None:
        click.echo(f"fastnlb: {self.message}", err=True)


def which_daemon(command: C) -> C:
    """The options `--pid-file` and `--admin`."""
    path = click.Path(path_type=Path)
    command = click.option("--pid-file", type=path, help="The pid file of the daemon that is meant.")(command)
    return click.option("--admin", type=path, help="Its admin socket.")(command)


def ask(method: str, path: str, pid_file: Path | None, admin: Path | None) -> tuple[int, dict[str, Any]]:
    """Status and answer.  Raises NoAnswer."""
    try:
        where = find(pid_file, admin)
    except RunDirError as error:
        raise NoAnswer(str(error)) from error
    connection = _UnixConnection(where)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoAnswer(f"the daemon does not answer at {where}: {reason}") from error
    finally:
        connection.close()
    return response.status, answer


def act(what: str, pid_file: Path | None, admin: Path | None) -> list[str]:
    """Has the daemon do something; the lines of its answer.  Exits with 1 when it refuses, after saying why."""
    return lines_or_exit(ask("POST", f"/api/v1/{what}", pid_file, admin), f"{what} refused: nothing has changed")


def lines_or_exit(answered: tuple[int, dict[str, Any]], refusal: str) -> list[str]:
    """The lines of what `ask` gave; a refusal ends the command with 1, and its lines and `refusal` are said first."""
    status, answer = answered
    lines = [str(line) for line in answer.get("lines", [answer.get("error", "")])]
    if status != OK:
        for line in [*lines, refusal]:
            click.echo(line, err=True)
        click.get_current_context().exit(EXIT_REFUSED)
    return lines


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_SECONDS)
        self.sock.connect(os.fspath(self._path))
        self.sock.settimeout(self.timeout)
