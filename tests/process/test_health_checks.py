"""Health checks with the real program: what the log and the shared board say of servers that come and go."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.board import board_of, fail_in_workers, wait_health
from support.procs import Program, free_port, wait_for, wait_steady
from support.site import HEAD, Site

from fastnlb.board import Health, Reason

QUICKLY = "interval: 1, connect_timeout: 1"


class Server:
    """Accepts and counts; may die, and come back on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.accepted = 0
        self.revive()

    def revive(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._accept, args=(self._listener,))
        self._thread.start()

    def die(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                listener.accept()[0].close()
                self.accepted += 1


class Web(ThreadingHTTPServer):
    """Answers every request with `code`, and keeps what was asked."""

    def __init__(self) -> None:
        self.code = 200
        self.asked: list[tuple[str, str, str, str]] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: Any) -> None:
        """The probe has its answer and is gone."""


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Web)
        asked = (self.command, self.path, self.request_version, self.headers.get("Host", "none"))
        self.server.asked.append(asked)
        self.send_response(self.server.code)
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made = [Server(), Server()]
    yield made
    for each in made:
        each.die()


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, ("127.0.0.1", 9))
    yield made
    made.end()


def write(site: Site, check: str, *ports: int) -> None:
    """One listener on a group with these servers."""
    listed = ", ".join(f"{{address: 127.0.0.1, port: {port}}}" for port in ports)
    site.file.write_text(
        f"{HEAD}server_groups: [{{name: g, health_check: {{{check}}}, servers: [{listed}]}}]\n"
        f"listeners: [{{name: l, protocol: TCP, address: 127.0.0.1, port: {free_port()}, server_group: g}}]\n"
    )


def said(site: Site, port: int, words: str) -> str:
    return site.running.wait_line(rf".* control: server 127\.0\.0\.1:{port} of g is {re.escape(words)}")


@contextmanager
def started(site: Site, check: str, *ports: int) -> Iterator[Any]:
    write(site, check, *ports)
    site.start()
    with board_of(site.running.pid) as board:
        yield board


def test_a_server_that_dies_is_found_and_found_again(site: Site, servers: list[Server]) -> None:
    dying, other = servers
    with started(site, QUICKLY, dying.port, other.port) as board:
        wait_health(board, 0, Health.HEALTHY)
        wait_health(board, 1, Health.HEALTHY)
        dying.die()
        assert " WARNING " in said(site, dying.port, "unhealthy: CONNECT_FAILED")
        wait_health(board, 0, Health.UNHEALTHY, Reason.CONNECT_FAILED)
        assert board.health(1) == (Health.HEALTHY, Reason.NONE)
        dying.revive()
        said(site, dying.port, "healthy again")
        wait_health(board, 0, Health.HEALTHY)
    assert site.count("unhealthy") == 1


def test_what_swallows_everything_is_timed_out(site: Site, black_hole: tuple[str, int]) -> None:
    with started(site, QUICKLY, black_hole[1]) as board:
        said(site, black_hole[1], "unhealthy: CONNECT_TIMEOUT")
        wait_health(board, 0, Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)


def test_http_asks_as_told_and_looks_at_the_class_of_the_code(site: Site, web: Web) -> None:
    check = f"type: HTTP, {QUICKLY}, domain: a.example, url: /up?x=1, method: HEAD, http_codes: [http_2xx, http_4xx]"
    with started(site, check, web.port) as board:
        wait_health(board, 0, Health.HEALTHY)
        assert web.asked[0] == ("HEAD", "/up?x=1", "HTTP/1.0", "a.example")
        web.code = 503
        said(site, web.port, "unhealthy: HTTP_CODE_NOT_MATCH")
        web.code = 404
        said(site, web.port, "healthy again")
        web.asked.clear()
        write(site, f"type: HTTP, {QUICKLY}, domain: $SERVER_IP, http_version: HTTP1.1", web.port)
        site.reload_done()
        site.wait_count("unhealthy: HTTP_CODE_NOT_MATCH", 2)
        assert web.asked[-1] == ("GET", "/", "HTTP/1.1", "127.0.0.1")


def test_what_speaks_no_http_is_told_apart(site: Site, servers: list[Server]) -> None:
    with started(site, f"type: HTTP, {QUICKLY}", servers[0].port):
        said(site, servers[0].port, "unhealthy: CONNECT_INTERRUPT")


def test_a_reload_brings_new_servers_and_leaves_the_others_alone(site: Site, servers: list[Server]) -> None:
    dead, alive = free_port(), servers[0]
    with started(site, QUICKLY, dead) as board:
        said(site, dead, "unhealthy: CONNECT_FAILED")
        write(site, QUICKLY, alive.port, dead)
        site.reload_done()
        wait_health(board, 1, Health.HEALTHY)
        assert board.health(0) == (Health.UNHEALTHY, Reason.CONNECT_FAILED), "cells stay with their servers"
        write(site, "enabled: false", alive.port, dead)
        site.reload_done()
        wait_health(board, 0, Health.UNAVAILABLE)
        wait_health(board, 1, Health.UNAVAILABLE)
        write(site, QUICKLY, alive.port, dead)
        site.reload_done()
        wait_health(board, 1, Health.HEALTHY)
        site.wait_count(f"127.0.0.1:{dead} of g is unhealthy", 2)
    assert site.count("~ server group g: health check off") == 1


def test_the_death_of_control_flips_no_server(site: Site, servers: list[Server]) -> None:
    dead = free_port()
    with started(site, QUICKLY, servers[0].port, dead) as board:
        wait_health(board, 0, Health.HEALTHY)
        said(site, dead, "unhealthy: CONNECT_FAILED")
        before = servers[0].accepted
        os.kill(site.control, signal.SIGKILL)
        site.wait_count("control started", 2)
        wait_for(lambda: servers[0].accepted > before + 1, "probes by the heir")
        assert board.health(0) == (Health.HEALTHY, Reason.NONE)
        assert board.health(1) == (Health.UNHEALTHY, Reason.CONNECT_FAILED)
        assert site.count("is unhealthy") == 1
        assert site.count("is healthy again") == 0


def test_what_workers_cannot_reach_is_probed_at_once(site: Site, servers: list[Server]) -> None:
    with started(site, "interval: 50", servers[0].port) as board:
        for failures in (2, 4, 6):
            before = servers[0].accepted
            fail_in_workers(board, 0, failures)
            wait_for(lambda before=before: servers[0].accepted > before, "a probe out of turn", 5)
        wait_health(board, 0, Health.HEALTHY)


def test_quick_checks_its_servers_unless_told_not_to(tmp_path: Path, servers: list[Server]) -> None:
    listen = ["--protocol", "TCP", "--listen", f"127.0.0.1:{free_port()}", "--core-dumps"]
    arguments = ["-m", "fastnlb", "quick", *listen, "--server", f"127.0.0.1:{servers[0].port}"]
    for more, expected in (([], Health.HEALTHY), (["--no-health-check"], Health.UNAVAILABLE)):
        program = Program([*arguments, *more], tmp_path / f"output{len(more)}")
        try:
            program.wait_line("ready")
            with board_of(program.pid) as board:
                wait_health(board, 0, expected)
        finally:
            program.kill()


def test_new_connections_of_all_workers_pass_an_unhealthy_server_over(site, servers):
    sick, well = servers
    with started(site, "interval: 50", sick.port, well.port) as board:
        port = int(site.file.read_text().rpartition(", port: ")[2].partition(",")[0])
        for cell in (0, 1):  # the first probes, now: the next ones are 45 s away
            fail_in_workers(board, cell, 2)
            wait_health(board, cell, Health.HEALTHY)

        def visit(times):
            before = wait_steady(lambda: (sick.accepted, well.accepted), "the visits before to be counted")
            for _ in range(times):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, suppress(ConnectionError):
                    sock.recv(1)  # until the server has closed it
            after = wait_steady(lambda: (sick.accepted, well.accepted), "the visits to be counted")
            return after[0] - before[0], after[1] - before[1]

        assert min(visit(40)) > 0
        board.set_health(0, Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)
        assert visit(40) == (0, 40), "seen at once, by all workers"
        board.set_health(1, Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)
        assert min(visit(40)) > 0, "all unhealthy: fail open"
        board.set_health(0, Health.HEALTHY)
        assert visit(40) == (40, 0)
