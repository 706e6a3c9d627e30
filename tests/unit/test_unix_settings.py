"""Servers at unix sockets: what the file may say of them, how they are called, and their probes."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fastnlb.board import Reason
from fastnlb.config.errors import ConfigError
from fastnlb.config.load import load
from fastnlb.config.plan import plan
from fastnlb.control.http_check import request
from fastnlb.control.probe import Probe
from fastnlb.model import HealthCheck, Server, ServerGroup, Snapshot, place

PLACE = "unix:/run/app.sock"
LONGEST = "unix:/" + "x" * 106


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fastnlb.yaml"


def write(file: Path, servers: str, group: str = "") -> Path:
    file.write_text(
        f"version: 1\nserver_groups: [{{name: g, {group}servers: [{servers}]}}]\n"
        "listeners: [{name: l, protocol: TCP, address: 127.0.0.1, port: 81, server_group: g}]\n"
    )
    return file


def refusals(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file)
    return [problem.render("") for problem in caught.value.problems]


@pytest.mark.parametrize("address", [PLACE, LONGEST, "unix:/run/app é.sock"])
def test_a_server_at_a_path_has_no_port(file: Path, address: str) -> None:
    loaded = load(write(file, f'{{address: "{address}", weight: 7}}'))
    assert loaded.snapshot.server_groups[0].servers == (Server(address, 0, 7),)


@pytest.mark.parametrize("address", ["unix:app.sock", "unix:", "unix:/", LONGEST + "x", "unix:/" + "é" * 54])
def test_what_is_no_path_of_a_socket(file: Path, address: str) -> None:
    assert any(
        "takes a literal IPv4 or IPv6 address, a host name or unix:/path of up to 107 bytes" in line
        and line.endswith(" [IllegalParam.IP]")
        for line in refusals(write(file, f'{{address: "{address}"}}'))
    )


@pytest.mark.parametrize(
    ("servers", "group", "message"),
    [
        (f'{{address: "{PLACE}", port: 80}}', "", "has no port: leave it out [IllegalParam.RSPortConflictWith"),
        (f'{{address: "{PLACE}", port: 0}}', "", "has no port: leave it out [IllegalParam.RSPortConflictWith"),
        (f'{{address: "{PLACE}"}}', "any_port: true, ", "a unix socket has none [IllegalParam.RSPortConflictWith"),
        (
            f'{{address: "{PLACE}"}}',
            "preserve_client_ip: true, ",
            "reached by IP, and a unix socket is not [IllegalParam.PreserveClientIpSwitch]",
        ),
        (
            f'{{address: "{PLACE}"}}, {{address: "{PLACE}"}}',
            "",
            "this server is in the group already",
        ),
        (
            f'{{address: "{PLACE}"}}',
            "health_check: {connect_port: 80}, ",
            "every server of this group is a unix socket, which has no port",
        ),
    ],
)
def test_what_does_not_go_with_it(file: Path, servers: str, group: str, message: str) -> None:
    assert any(message in line for line in refusals(write(file, servers, group)))


def test_paths_that_differ_in_case_are_two(file: Path) -> None:
    load(write(file, f'{{address: "{PLACE}"}}, {{address: "{PLACE.replace("app", "APP")}"}}'))


def test_a_port_for_probes_is_for_the_other_servers_of_the_group(file: Path) -> None:
    both = f'{{address: "{PLACE}"}}, {{address: 127.0.0.1, port: 80}}'
    load(write(file, both, "health_check: {connect_port: 81}, "))


def test_how_it_is_called() -> None:
    assert place(PLACE, 0) == PLACE
    assert place("::1", 80) == "[::1]:80"
    before, after = (Snapshot((), (ServerGroup("g", servers),)) for servers in ((), (Server(PLACE, 0),)))
    assert plan(before, after).describe() == [f"~ server group g: server {PLACE} added"]


# Probes


@contextmanager
def server(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Serves one connection; what it was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                asked.append(connection.recv(1000))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def run(probe: Probe) -> Reason:
    verdict = probe.begin()
    with selectors.DefaultSelector() as selector:
        while verdict is None:
            selector.register(probe.fileno(), probe.events)
            verdict = probe.step() if selector.select(10) else probe.overdue()
            selector.unregister(probe.fileno())
    probe.close()
    return verdict


def test_a_tcp_check_connects_whatever_the_port_of_the_check(tmp_path: Path) -> None:
    with server(tmp_path / "s", b"") as asked:
        assert run(Probe(HealthCheck(connect_port=9), f"unix:{tmp_path}/s", 0)) is Reason.NONE
    assert asked == [b""]


def test_an_http_check_calls_it_localhost(tmp_path: Path) -> None:
    with server(tmp_path / "s", b"HTTP/1.1 204 No Content\r\n\r\n") as asked:
        assert run(Probe(HealthCheck("HTTP", domain="$SERVER_IP"), f"unix:{tmp_path}/s", 0)) is Reason.NONE
    assert b"\r\nHost: localhost\r\n" in asked[0]
    assert b"\r\nHost: localhost\r\n" in request(HealthCheck("HTTP", http_version="HTTP1.1"), PLACE)


def test_a_path_without_a_server_has_failed(tmp_path: Path) -> None:
    assert run(Probe(HealthCheck(), f"unix:{tmp_path}/none", 0)) is Reason.CONNECT_FAILED
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        assert run(Probe(HealthCheck(), f"unix:{tmp_path}/s", 0)) is Reason.CONNECT_FAILED


def test_a_queue_that_is_full_has_failed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(f"{tmp_path}/s")
        listener.listen(0)
        waiting.connect(f"{tmp_path}/s")
        assert run(Probe(HealthCheck(), f"unix:{tmp_path}/s", 0)) is Reason.CONNECT_FAILED
