"""Servers at unix sockets with the real program: traffic, probes, reloads, and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Thread
from typing import Any

import pytest
from support.board import board_of, wait_health
from support.procs import free_port, program
from support.rig import echo
from support.site import HEAD, Site, connection, serves

from fastnlb.board import Health, Reason

QUICKLY = "interval: 1, connect_timeout: 1"


class Web(ThreadingMixIn, UnixStreamServer):
    """Answers what begins with GET as HTTP, and echoes all else."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.asked: list[bytes] = []
        super().__init__(str(path), None)  # type: ignore[arg-type]

    def finish_request(self, request: Any, _client: object) -> None:
        data = request.recv(4096)
        request.sendall(data if not data.startswith(b"GET ") else b"HTTP/1.0 204 No Content\r\n\r\n")
        if data.startswith(b"GET "):
            self.asked.append(data)
        else:
            echo(request)

    def handle_error(self, *_: Any) -> None:
        """The probe has its answer and is gone."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web(tmp_path / "app.sock") as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def write(site: Site, port: int, paths: list[str], check: str) -> None:
    listed = ", ".join(f'{{address: "unix:{site.folder}/{path}"}}' for path in paths)
    site.file.write_text(
        f"{HEAD}server_groups: [{{name: g, health_check: {{{check}}}, servers: [{listed}]}}]\n"
        f"listeners: [{{name: l, protocol: TCP, address: 127.0.0.1, port: {port}, server_group: g}}]\n"
    )


def test_it_is_served_probed_and_taken_out_like_any_other(site: Site, web: Web) -> None:
    port = free_port()
    write(site, port, ["app.sock", "gone.sock"], f"type: HTTP, http_version: HTTP1.1, {QUICKLY}")
    site.start()
    gone = re.escape(f"server unix:{site.folder}/gone.sock of g is unhealthy: CONNECT_FAILED")
    site.running.wait_line(f".* {gone}")
    with board_of(site.running.pid) as board:
        wait_health(board, 0, Health.HEALTHY)
        wait_health(board, 1, Health.UNHEALTHY, Reason.CONNECT_FAILED)
    assert b"\r\nHost: localhost\r\n" in web.asked[0]
    assert all(serves(port) for _ in range(4))
    with connection(port) as exchange:
        write(site, port, ["app.sock"], f"type: HTTP, {QUICKLY}")
        site.reload_done()
        assert site.count(f"server unix:{site.folder}/gone.sock removed") == 1
        assert exchange(b"still there") == b"still there"


def test_quick_takes_one(tmp_path: Path, web: Web) -> None:
    port = free_port()
    words = ["quick", "--protocol", "TCP", "--listen", f"127.0.0.1:{port}", "--server", f"unix:{tmp_path}/app.sock"]
    with program(["-m", "fastnlb", *words], tmp_path / "output") as started:
        started.wait_line("ready")
        assert serves(port)
