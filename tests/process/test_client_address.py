"""preserve_client_ip with the real program between real networks: what servers see, and how answers find back.

Routing is that of docs/operations.md.  The reverse path filter is strict, so nobody has to weaken it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.netns import (
    BACK,
    CLIENT,
    CLIENT6,
    FRONT,
    FRONT6,
    OTHER_SERVER,
    SERVER,
    SERVER6,
    Namespace,
    estate,
    needs_namespaces,
)
from support.procs import Program, free_port, wait_for
from support.rig import Backend, echo
from support.site import HEAD, Site, serves

from fastnlb.privileges import CAPABILITIES

PORT, SERVER_PORT = 80, 8080
Machines = tuple[Namespace, Namespace, Namespace]
HOMEWARD = (
    f"rule add iif back ipproto tcp sport {SERVER_PORT} lookup 100",
    "route add local default dev lo table 100",
)
NO_CHECK = "health_check: {enabled: false}"


@pytest.fixture
def machines() -> Iterator[Machines]:
    with estate() as made:
        balancer = made[1]
        for device in ("all", "front", "back"):
            balancer.sysctl(f"ipv4/conf/{device}/rp_filter", "1")
        for version in (4, 6):
            balancer.ip(*HOMEWARD, version=version)
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, (SERVER, SERVER_PORT))
    yield made
    made.end()


@pytest.fixture
def peers(machines: Machines) -> Iterator[list[str]]:
    """Servers on both versions that say whom they see, on a line, and then echo; the value is all whom they saw."""
    seen: list[str] = []

    def serve(sock: socket.socket) -> None:
        host, port = sock.getpeername()[:2]
        seen.append(host)
        sock.sendall(f"{host} {port}\n".encode())
        echo(sock)

    with machines[2].inside():
        made = [Backend(serve, host=host, port=SERVER_PORT) for host in (SERVER, SERVER6)]
    yield seen
    for each in made:
        each.close()


def write(site: Site, servers: list[str], settings: str, address: str = "0.0.0.0", more: str = "") -> None:  # noqa: S104
    listed = ", ".join(f'{{address: "{each}", port: {SERVER_PORT}}}' for each in servers)
    site.file.write_text(
        f"{HEAD}server_groups: [{{name: g, preserve_client_ip: true, {settings}, servers: [{listed}]}}]\n"
        f'listeners: [{{name: l, protocol: TCP, address: "{address}", port: {PORT}, server_group: g{more}}}]\n'
    )


def start(site: Site, balancer: Namespace) -> None:
    with balancer.inside():
        site.start()


def visit(client: Namespace, front: str) -> tuple[str, str]:
    """What the client calls itself, and what the server sees; then a stream that is longer than any buffer."""
    with client.inside():
        sock = socket.create_connection((front, PORT), timeout=10)
    with sock, sock.makefile("rb") as stream:
        host, port = sock.getsockname()[:2]
        seen = stream.readline().decode().strip()
        text = os.urandom(200_000)
        sock.sendall(text)
        assert stream.read(len(text)) == text
        return f"{host} {port}", seen


def capabilities(pid: int) -> str:
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    return text.partition("CapEff:\t")[2].partition("\n")[0]


@needs_namespaces
@pytest.mark.parametrize(("front", "home", "address"), [(FRONT, CLIENT, SERVER), (FRONT6, CLIENT6, SERVER6)])
def test_the_server_sees_the_clients_address_and_port(
    site: Site, machines: Machines, peers: list[str], front: str, home: str, address: str
) -> None:
    client, balancer, _ = machines
    write(site, [address], NO_CHECK, "::" if ":" in front else "0.0.0.0")  # noqa: S104
    start(site, balancer)
    for _ in range(8):
        own, seen = visit(client, front)
        assert seen == own
        assert seen.startswith(f"{home} ")
    assert {capabilities(pid) for pid in site.workers} == {f"{1 << CAPABILITIES['NET_RAW']:016x}"}


@needs_namespaces
def test_probes_come_from_our_own_address(site: Site, machines: Machines, peers: list[str]) -> None:
    write(site, [SERVER], "health_check: {type: HTTP, interval: 1, connect_timeout: 1}")
    start(site, machines[1])
    wait_for(lambda: peers, "a probe")
    assert peers[0] == BACK
    own, seen = visit(machines[0], FRONT)
    assert seen == own


@needs_namespaces
def test_a_port_that_is_ours_is_replaced_and_the_address_kept(
    site: Site, machines: Machines, peers: list[str]
) -> None:
    client, balancer, _ = machines
    write(site, [SERVER], NO_CHECK)
    start(site, balancer)
    with client.inside():
        sock = socket.create_connection((FRONT, PORT), timeout=10, source_address=(CLIENT, PORT))
    with sock, sock.makefile("rb") as stream:
        host, port = stream.readline().decode().split()
        assert (host, port != str(PORT)) == (CLIENT, True), "we listen on that port of every address"


@needs_namespaces
def test_a_server_that_swallows_everything_is_passed_over(site: Site, machines: Machines, peers: list[str]) -> None:
    client, balancer, _ = machines
    balancer.ip(f"neigh add {OTHER_SERVER} lladdr 02:00:00:00:00:99 dev back")
    write(site, [OTHER_SERVER, SERVER], NO_CHECK, more=", connect_timeout: 1")
    start(site, balancer)
    began = time.monotonic()
    own, seen = visit(client, FRONT)  # each worker begins with the first server
    assert time.monotonic() - began > 0.9
    assert seen == own


@needs_namespaces
def test_a_server_of_the_other_version_is_passed_over_at_once(
    site: Site, machines: Machines, peers: list[str]
) -> None:
    client, balancer, _ = machines
    write(site, [SERVER6, SERVER], NO_CHECK)
    start(site, balancer)
    for _ in range(4):
        own, seen = visit(client, FRONT)
        assert seen == own


# --- without the privilege ------------------------------------------------------------------------------------------


def run_powerless(site: Site) -> Program:
    """The program as root who has given up what it takes, or as whoever runs the tests and never had it."""
    words = [sys.executable, "-m", "fastnlb", "run", "-c", str(site.file)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("giving up capabilities needs setpriv (util-linux)")
        words = ["setpriv", "--bounding-set=-net_admin,-net_raw", *words]
    site.program = Program(words[1:], site.folder / "output", executable=words[0])
    return site.program


def write_local(site: Site, port: int, preserve: bool, address: tuple[str, int]) -> None:
    host, at = address
    site.file.write_text(
        f"{HEAD}server_groups: [{{name: g, preserve_client_ip: {str(preserve).lower()}, {NO_CHECK}, "
        f"servers: [{{address: {host}, port: {at}}}]}}]\n"
        f"listeners: [{{name: l, protocol: TCP, address: 127.0.0.1, port: {port}, server_group: g}}]\n"
    )


REFUSAL = "server group g: preserve_client_ip needs CAP_NET_ADMIN or CAP_NET_RAW: start it anew as root"


def test_the_start_is_refused_in_one_line(site: Site) -> None:
    write_local(site, free_port(), True, ("127.0.0.1", 9))
    program = run_powerless(site)
    assert program.wait_exit() == 3
    assert [line for line in program.lines() if REFUSAL in line] == [program.lines()[-1]]


def test_a_reload_is_refused_and_the_old_state_serves(site: Site, echo: tuple[str, int]) -> None:
    port = free_port()
    write_local(site, port, False, echo)
    run_powerless(site).wait_line("ready")
    site.wait_count("control started", 1)
    write_local(site, port, True, echo)
    site.reload()
    site.wait_count("the change was refused, nothing has changed: server group g: preserve_client_ip needs", 1)
    assert serves(port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has it to give away")
def test_workers_that_gave_the_privilege_away_refuse_what_needs_it(site: Site, echo: tuple[str, int]) -> None:
    port = free_port()
    write_local(site, port, False, echo)
    site.start()
    write_local(site, port, True, echo)
    site.reload()
    site.wait_count("the change was refused, nothing has changed: worker ", 1)
    assert REFUSAL in site.running.output()
    assert serves(port)
