"""An admin socket whose answers are written by the test: what a command asks, and what it makes of the answer."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What a command has asked."""

    method: str
    path: str
    query: list[tuple[str, str]]
    body: Any
    headers: dict[str, str]


@dataclass
class FakeApi:
    """Answers are those of `on`; anything else is a 404.  `asked` has every request."""

    socket: Path
    asked: list[Request] = field(default_factory=list)
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)

    def on(self, method: str, path: str, *answers: Any, status: int = 200) -> None:
        """The answers to a request, one after the other; the last one stays."""
        self.answers[method, path] = [(status, each) for each in answers]

    @property
    def last(self) -> Request:
        return self.asked[-1]

    def answer(self, request: Request) -> tuple[int, Any]:
        self.asked.append(request)
        found = self.answers.get((request.method, request.path))
        if found is None:
            return 404, problem(404, f"there is no {request.path}")
        return found.pop(0) if len(found) > 1 else found[0]


def problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": "Refused", "status": status, "detail": detail, **more}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    api: FakeApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(raw) if raw else None
        request = Request(self.command, parts.path, parse_qsl(parts.query), body, dict(self.headers))
        status, answer = self.server.api.answer(request)
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def address_string(self) -> str:
        return "unix"


@contextmanager
def fake_api(folder: Path) -> Iterator[FakeApi]:
    """At `admin.sock` in the folder, for the length of a block."""
    api = FakeApi(folder / "admin.sock")
    with _Server(str(api.socket), _Handler) as server:
        server.api = api
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
