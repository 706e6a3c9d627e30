"""Ranges of ports with the whole program: steered by the kernel, and with a socket for each port.

The listener is on HOST and its servers on SERVER, where there is one on each of a few ports of the range; it greets a
client with its port.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest
from support.daemon import counter_rows
from support.own_network import may_steer, own_network
from support.procs import Program, alive, children, descriptors, listening_inodes, wait_for
from support.rig import Backend, echo
from support.site import HEAD, Site

HOST, SERVER = "127.0.77.1", "127.0.77.2"  # nobody else is there, should the network be everybody's
FIRST, MIDDLE, LAST = 20000, 20050, 20099
STEERED, EACH = "steered", "a socket for each port"

Serve = Callable[..., None]
obstacle = may_steer()


@pytest.fixture(params=[STEERED, EACH])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == STEERED and obstacle:
        pytest.skip(obstacle)
    with nullcontext() if obstacle else own_network():
        yield request.param


@pytest.fixture
def steered() -> Iterator[None]:
    if obstacle:
        pytest.skip(obstacle)
    with own_network():
        yield


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(tmp_path, (SERVER, 0))
    yield one
    one.end()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Servers on these ports, for the length of a test."""
    made: list[Backend] = []

    def greet(sock: socket.socket) -> None:
        sock.sendall(f"{sock.getsockname()[1]}\n".encode())
        echo(sock)

    yield lambda *ports: made.extend(Backend(greet, SERVER, port) for port in ports)
    for each in made:
        each.close()


def write(
    site: Site, first: int = FIRST, last: int = LAST, *, listener: str = "", group: str = "", tls: bool = True
) -> None:
    kind = "protocol: TCPSSL, certificate: www" if tls else "protocol: TCP"
    check = "" if "health_check" in group else ", health_check: {enabled: false}"
    site.file.write_text(
        f"{HEAD}certificates: [{{name: www, certificate: www.pem, private_key: www.key}}]\n"
        f"server_groups: [{{name: g, any_port: true, servers: [{{address: {SERVER}}}]{check}{group}}}]\n"
        f"listeners: [{{name: r, {kind}, address: {HOST}, port_range: [{first}, {last}], server_group: g"
        f"{listener}}}]\n"
    )


def start(site: Site, way: str = STEERED) -> None:
    site.wrapper = ("-m", "support.own_network") if way == EACH else ()
    site.start()


@contextmanager
def client(port: int) -> Iterator[ssl.SSLSocket]:
    """A TLS client that has been greeted by the server on that very port."""
    context = ssl._create_unverified_context()  # noqa: S323 - of whom is not the question
    with context.wrap_socket(socket.create_connection((HOST, port), timeout=10)) as one:
        assert one.recv(100) == b"%d\n" % port
        yield one


def lives(one: ssl.SSLSocket) -> bool:
    one.sendall(b"x")
    return one.recv(1) == b"x"


def plain(port: int) -> bytes:
    """What the server says to a client without TLS."""
    with socket.create_connection((HOST, port), timeout=10) as sock:
        return sock.recv(100)


def refused(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def programs_of(pid: int) -> list[str]:
    """What a process holds of the kernel's programs."""
    return sorted(name for name in descriptors(pid).values() if "bpf" in name)


def listening_sockets(site: Site, ports: range) -> int:
    inodes = set().union(*(listening_inodes(port) for port in ports))
    return len(inodes & set(descriptors(site.running.pid).values()))


def test_a_client_reaches_the_port_it_came_to(way: str, site: Site, serve: Serve) -> None:
    serve(FIRST, MIDDLE, LAST)
    write(site)
    start(site, way)
    for port in (FIRST, MIDDLE, LAST):
        with client(port) as one:
            assert lives(one)
    assert refused(FIRST - 1)
    assert refused(LAST + 1)
    own = "listener r: 200 sockets, one for each port and worker: "
    assert site.count(own) == (way == EACH)
    assert listening_sockets(site, range(FIRST, LAST + 1)) == (200 if way == EACH else 2)
    held = ["anon_inode:bpf-map", "anon_inode:bpf_link"] if way == STEERED else []
    assert programs_of(site.running.pid) == held
    assert [programs_of(child) for child in children(site.running.pid)] == [[], [], []]


def test_all_workers_take_part(way: str, site: Site, serve: Serve) -> None:
    serve(*range(FIRST, FIRST + 4))
    write(site, tls=False)
    start(site, way)
    for number in range(120):
        port = FIRST + number % 4
        assert plain(port) == b"%d\n" % port
    assert min(row["accepted"] for row in counter_rows(site.running.pid)) >= 20


def test_the_number_of_workers_changes(way: str, site: Site, serve: Serve) -> None:
    serve(FIRST, MIDDLE)
    write(site, tls=False)
    start(site, way)
    sockets = 100 if way == EACH else 1
    ports = range(FIRST, LAST + 1)
    for number, count in ((signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1), (signal.SIGTTIN, 2)):
        site.running.signal(number)
        for _ in range(50):
            assert plain(FIRST) == b"%d\n" % FIRST
            assert plain(MIDDLE) == b"%d\n" % MIDDLE
        wait_for(lambda count=count: len(site.workers) == count, f"{count} workers")  # type: ignore[misc]
        wait_for(lambda count=count: listening_sockets(site, ports) == count * sockets, "sockets")  # type: ignore[misc]
    assert "ERROR" not in site.running.output()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_asks_three_ports(way: str, site: Site) -> None:
    def answer(sock: socket.socket) -> None:
        sock.recv(1000)
        body = b"%d" % sock.getsockname()[1]
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    ports = (FIRST, MIDDLE, LAST)
    servers = [Backend(answer, SERVER, port) for port in ports]
    write(site)
    start(site, way)
    for port in ports:
        command = ["curl", "-sk", "--noproxy", "*", "--max-time", "10", f"https://{HOST}:{port}/"]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"%d" % port
    for each in servers:
        each.close()


def test_a_header_from_the_client_chooses_no_other_port(way: str, site: Site) -> None:
    """And is passed on as it was."""
    heads: list[bytes] = []

    def note(sock: socket.socket) -> None:
        heads.append(sock.recv(1000))

    server = Backend(note, SERVER, MIDDLE)
    write(
        site,
        tls=False,
        listener=", proxy_protocol: {}, accept_proxy_protocol: {trusted: [127.0.0.0/8]}",
    )
    start(site, way)
    with socket.create_connection((HOST, MIDDLE), timeout=10) as sock:
        sock.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 %d\r\n" % LAST)
        assert sock.recv(1) == b""
    server.close()
    assert heads[0][16:28] == bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack("!HH", 1000, LAST)


def test_the_server_is_told_the_port(way: str, site: Site) -> None:
    heads: list[bytes] = []
    server = Backend(lambda sock: heads.append(sock.recv(1000)), SERVER, MIDDLE)
    write(site, tls=False, listener=", proxy_protocol: {}")
    start(site, way)
    with socket.create_connection((HOST, MIDDLE), timeout=10) as sock:
        assert sock.recv(1) == b""
    server.close()
    assert heads[0][26:28] == struct.pack("!H", MIDDLE)


def test_a_reload_changes_and_removes_the_range_and_leaves_connections_alone(
    way: str, site: Site, serve: Serve
) -> None:
    serve(FIRST, MIDDLE, LAST, LAST + 50)
    write(site)
    start(site, way)
    workers = site.workers
    with client(FIRST) as first, client(LAST) as last:
        write(site, last=LAST + 50)
        site.reload_done()
        assert site.count(f"~ listener r: port {FIRST}-{LAST} -> {FIRST}-{LAST + 50}") == 1
        with client(LAST + 50) as grown, client(MIDDLE):
            write(site, first=MIDDLE)
            site.reload_done()
            wait_for(lambda: refused(FIRST), "the ports that are gone to close")
            assert refused(LAST + 50)
            with client(MIDDLE):
                pass
            site.file.write_text(HEAD)
            site.reload_done()
            wait_for(lambda: refused(MIDDLE), "the range to close")
            assert all(map(lives, (first, last, grown)))
    assert site.workers == workers
    assert programs_of(site.running.pid) == []
    assert listening_sockets(site, range(FIRST, LAST + 51)) == 0


def test_a_worker_that_is_killed_has_an_heir_on_the_same_range(way: str, site: Site, serve: Serve) -> None:
    serve(FIRST, LAST)
    write(site)
    start(site, way)
    inodes = listening_inodes(FIRST)
    for _ in range(2):
        victim = site.workers[0]
        before = site.count(" serves")
        os.kill(victim, signal.SIGKILL)
        site.wait_count(" serves", before + 1)
        assert not alive(victim)
        for _ in range(20):
            with client(LAST), client(FIRST):
                pass
    assert listening_inodes(FIRST) == inodes
    assert [programs_of(child) for child in children(site.running.pid)] == [[], [], []]


def test_the_range_ends_with_the_daemon(way: str, site: Site, serve: Serve) -> None:
    serve(LAST)
    write(site)
    start(site, way)
    with client(LAST) as one:
        site.running.signal(signal.SIGTERM)
        wait_for(lambda: refused(LAST), "the range to end")
        assert lives(one), "running connections are finished"
    assert site.running.wait_exit() == 0


def test_the_range_ends_with_a_master_that_is_killed(steered: None, site: Site, serve: Serve) -> None:
    serve(LAST)
    write(site)
    start(site)
    orphans = children(site.running.pid)
    with client(LAST) as one:
        site.running.signal(signal.SIGKILL)
        wait_for(lambda: refused(LAST), "the range to end")
        assert lives(one)
    wait_for(lambda: not any(map(alive, orphans)), "the workers to end")


def test_another_program_in_the_range_fails_the_start_with_its_port(way: str, site: Site) -> None:
    write(site)
    site.wrapper = ("-m", "support.own_network") if way == EACH else ()
    with socket.create_server((HOST, MIDDLE), reuse_port=True):
        site.program = Program(site.command, site.folder / "output")
        assert site.running.wait_exit() == 3
    line = f"fastnlb: listener r: cannot listen on {HOST}:{MIDDLE}: address already in use"
    assert site.running.lines()[-1] == line


def test_a_reload_onto_another_program_is_refused_and_the_range_stays(way: str, site: Site, serve: Serve) -> None:
    serve(FIRST, LAST)
    write(site)
    start(site, way)
    held = len(descriptors(site.running.pid))
    with socket.create_server((HOST, LAST + 1), reuse_port=True) as other:
        write(site, last=LAST + 1)
        site.reload()
        site.wait_count(f"cannot listen on {HOST}:{LAST + 1}: address already in use", 1)
        with socket.create_connection((HOST, LAST + 1), timeout=10), other.accept()[0]:
            pass
        with client(FIRST), client(LAST):
            pass
    wait_for(lambda: len(descriptors(site.running.pid)) == held, "what was staged to be closed")


def test_servers_are_checked_on_their_own_port_and_passed_over(way: str, site: Site, serve: Serve) -> None:
    """127.0.77.3 is up for the checks' port only while `check` is open."""
    serve(FIRST, 8080)
    other = "127.0.77.3"
    check = ", health_check: {connect_port: 8080, interval: 1, connect_timeout: 1}"
    write(site, tls=False, group=check)
    text = site.file.read_text().replace(f"{{address: {SERVER}}}", f"{{address: {SERVER}}}, {{address: {other}}}")
    site.file.write_text(text)
    start(site, way)
    site.wait_count(f"server {other} of g is unhealthy: CONNECT_FAILED", 1)
    failed = sum(row["connects_failed"] for row in counter_rows(site.running.pid))
    for _ in range(10):
        assert plain(FIRST) == b"%d\n" % FIRST
    assert sum(row["connects_failed"] for row in counter_rows(site.running.pid)) == failed


def test_a_port_that_no_server_has_is_a_failed_connection_and_no_more(way: str, site: Site, serve: Serve) -> None:
    serve(FIRST)
    write(site, tls=False)
    start(site, way)
    with pytest.raises(ConnectionResetError):
        plain(MIDDLE)
    assert plain(FIRST) == b"%d\n" % FIRST
    assert sum(row["connects_failed"] for row in counter_rows(site.running.pid)) == 1


def test_a_thousand_ports_with_a_socket_each(site: Site, serve: Serve) -> None:
    with ExitStack() as stack:
        if not obstacle:
            stack.enter_context(own_network())
        serve(FIRST, FIRST + 999)
        write(site, last=FIRST + 999)
        start(site, EACH)
        assert site.count("listener r: 2000 sockets, one for each port and worker") == 1
        for pid in site.workers:
            inodes = listening_inodes(FIRST) | listening_inodes(FIRST + 999)
            assert len(inodes & set(descriptors(pid).values())) == 2
        with client(FIRST), client(FIRST + 999) as last:
            os.kill(site.workers[0], signal.SIGKILL)
            site.wait_count(" serves", 3)
            write(site, first=FIRST + 999, last=FIRST + 1000)
            site.reload_done()
            wait_for(lambda: refused(FIRST), "the ports that are gone to close")
            del last
        assert site.running.exit_code is None
