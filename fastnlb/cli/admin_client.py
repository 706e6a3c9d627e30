"""Requests to a running daemon: one connection each, JSON both ways.

No redirect is followed and no proxy of the environment is used: a token goes to the place that was named, or nowhere.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from fastnlb.cli.progress import waiting
from fastnlb.cli.refusal import Refused, refusal_lines
from fastnlb.cli.target import PORTS, NoAnswer, Target

CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 600.0
"""For an answer: a reload may have ten thousand certificates to read, a hot restart waits for its successor."""

Query = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon has said: its status and its JSON."""

    status: int
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def ask(
    daemon: Target,
    method: str,
    path: str,
    *,
    query: Query | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Answer:
    """The answer, whatever it says, if it comes within `patience` seconds.  Values of `query` that are None are left
    out.  Raises NoAnswer.
    """
    asked = urlencode({key: held for key, held in (query or {}).items() if held is not None}, doseq=True)
    sent = {"Accept": "application/json", **(headers or {})}
    if body is not None:
        sent["Content-Type"] = "application/json"
    if daemon.token is not None:
        sent["Authorization"] = f"Bearer {daemon.token}"
    connection, where = _connection(daemon, patience)
    target = f"{daemon.place().path}{path}" + (f"?{asked}" if asked else "")
    try:
        connection.request(method, target, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        return _answer(response.status, response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"the daemon does not answer at {where}: {_reason(error)}") from error
    finally:
        connection.close()


def demand(daemon: Target, method: str, path: str, subject: str = "", **request: Any) -> Answer:
    """As `ask`, with a sign of life while it takes long, and only for an answer that is good.

    `subject` is what a refusal is about, such as `listener https`.  Raises NoAnswer, Refused.
    """
    with waiting("waiting for the daemon"):
        answer = ask(daemon, method, path, **request)
    if not answer.good:
        raise Refused(refusal_lines(answer.data, subject))
    return answer


def act(what: str, daemon: Target, doing: str) -> list[str]:
    """Has the daemon do something; the lines of its answer.  Exits with 1 when it refuses, after saying why."""
    with waiting(doing):
        answer = ask(daemon, "POST", f"/api/v1/{what}")
    return lines_of(answer, f"{what} refused: nothing has changed")


def lines_of(answer: Answer, refusal: str) -> list[str]:
    """The lines of an answer; a refusal ends the command with 1, and its lines and `refusal` are said first."""
    if not answer.good and "lines" not in answer.data:
        raise Refused([*refusal_lines(answer.data), refusal])
    lines = [str(line) for line in answer.data.get("lines", [])]
    if not answer.good:
        raise Refused([*lines, refusal])
    return lines


def _answer(status: int, raw: bytes) -> Answer:
    try:
        data = json.loads(raw) if raw else {}
    except ValueError:
        data = None
    if not isinstance(data, dict):
        phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else ""
        raise ValueError(f"what answers is no fastnlb (status {status} {phrase}".rstrip() + ")")
    return Answer(status, data)


def _connection(daemon: Target, patience: float) -> tuple[http.client.HTTPConnection, str]:
    if not daemon.remote:
        path = daemon.socket()
        return _UnixConnection(path, patience), str(path)
    place = daemon.place()
    host, port = place.hostname or "", place.port or PORTS[place.scheme]
    if place.scheme == "http":
        _warn_of_plain(daemon, host)
        return _TcpConnection(host, port, timeout=patience), daemon.url or ""
    return _TlsConnection(host, port, timeout=patience, context=_context(daemon.ca_file)), daemon.url or ""


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "no certificates in PEM are in it"
        raise click.UsageError(f"--ca-file {ca_file}: {reason}") from None


def _warn_of_plain(daemon: Target, host: str) -> None:
    if daemon.token is not None and host not in ("localhost", "::1") and not host.startswith("127."):
        click.echo("fastnlb: warning: the token is sent without encryption: use https", err=True)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_SECONDS)
        self.sock.connect(os.fspath(self._path))
        self.sock.settimeout(self.timeout)


class _Prompt(http.client.HTTPConnection):
    """Quick to say that nobody is there, patient with an answer."""

    def connect(self) -> None:
        patience, self.timeout = self.timeout, CONNECT_SECONDS
        super().connect()
        self.timeout = patience
        self.sock.settimeout(patience)


class _TcpConnection(_Prompt):
    """HTTP over TCP."""


class _TlsConnection(_Prompt, http.client.HTTPSConnection):
    """HTTP over TLS."""
