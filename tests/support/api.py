"""A daemon in store mode, and clients of its API."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.procs import free_port
from support.site import Site

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: `json` is None for what is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """Of a refusal."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        problem = self.json
        assert problem["status"] == self.status
        return dict(problem)

    @property
    def faults(self) -> dict[str, str]:
        """Message by path."""
        return {each["path"]: each["message"] for each in self.problem["errors"]}


@dataclass(slots=True)
class Api:
    """Requests to one place: a port, or the path of a unix socket."""

    place: int | Path
    token: str = ""
    tls: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Answered:
        """`path` below /api/v1/ unless it begins with /; header names with _ for -."""
        target = path if path.startswith("/") else f"/api/v1/{path}"
        sent = {"Host": "localhost", **self.headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self._connection()
        try:
            connection.request(method, target, data, sent)
            answer = connection.getresponse()
            headers_of = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, headers_of, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answered:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answered:
        return self.request("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answered:
        return self.request("PATCH", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answered:
        return self.request("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answered:
        return self.request("DELETE", path, **headers)

    def _connection(self) -> http.client.HTTPConnection:
        if isinstance(self.place, int):
            made = http.client.HTTPConnection("127.0.0.1", self.place, timeout=PATIENCE)
            made.sock = socket.create_connection(("127.0.0.1", self.place), timeout=PATIENCE)
            if self.tls is not None:
                made.sock = self.tls.wrap_socket(made.sock, server_hostname="localhost")
            return made
        made = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        made.sock = socket.socket(socket.AF_UNIX)
        made.sock.settimeout(PATIENCE)
        made.sock.connect(str(self.place))
        return made


class Managed(Site):
    """A daemon whose state is its API's; `head` is what its settings file begins with."""

    def __init__(self, folder: Path, server: tuple[str, int]) -> None:
        super().__init__(folder, server)
        self.port = free_port()
        self.state = folder / "state"
        self.admin = folder / "run" / "admin.sock"
        self.settings(f"admin: {{listen: '127.0.0.1:{self.port}'}}\n")

    def settings(self, more: str = "") -> None:
        head = f"version: 1\nworkers: 2\ncore_dumps: true\nshutdown_timeout: 5\nrun_dir: {self.folder}/run\n"
        self.file.write_text(head + more)

    @property
    def command(self) -> list[str]:
        return ["-m", "fastnlb", "run", "--state-dir", str(self.state), "-c", str(self.file)]

    @property
    def api(self) -> Api:
        return Api(self.port)

    @property
    def local(self) -> Api:
        """By the admin socket."""
        return Api(self.admin)

    # What tests begin with

    def group(self, name: str = "g", **more: Any) -> dict[str, Any]:
        host, port = self.server
        return {"name": name, "servers": [{"address": host, "port": port}], **more}

    def listener(self, name: str = "l", **more: Any) -> dict[str, Any]:
        listener = {"name": name, "protocol": "TCP", "address": "127.0.0.1", "server_group": "g", **more}
        return listener if "port" in listener else {**listener, "port": free_port()}

    def serving(self, **more: Any) -> int:
        """The port of a listener that is made now, with its group."""
        listener = self.listener(**more)
        assert self.api.post("server-groups", self.group()).status == 201
        made = self.api.post("listeners", listener)
        assert made.status == 201, made.body
        return int(listener["port"])


def in_path(text: str) -> str:
    return quote(text, safe="")
