"""What a reload does to one listener of the real program: its limits, its timeout, its sockets; and IPv6."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from support import servers
from support.daemon import counter_rows
from support.procs import free_port, listening_inodes, wait_for
from support.rates import Attempts
from support.site import HEAD, Site, connection, serves, tls_client
from support.tls_client import TlsClient

THREE = HEAD.replace("workers: 2", "workers: 3")


def write(site: Site, *listeners: str, head: str = THREE, server: tuple[str, int] | None = None) -> None:
    """Listeners named a, b, ... with these settings besides their protocol and server group."""
    host, port = server or site.server
    text = head + "certificates: [{name: www, certificate: www.pem, private_key: www.key}]\n"
    text += f"server_groups: [{{name: g, servers: [{{address: '{host}', port: {port}}}]}}]\nlisteners:\n"
    for name, settings in zip("abcdef", listeners, strict=False):
        more = "" if "address:" in settings else ", address: 127.0.0.1"
        protocol = "TCPSSL" if "certificate:" in settings else "TCP"
        text += f"  - {{name: {name}, protocol: {protocol}, server_group: g{more}, {settings}}}\n"
    site.file.write_text(text)


def total(site: Site, name: str) -> int:
    return sum(row[name] for row in counter_rows(site.running.pid))


def crowd(port: int, seconds: float) -> Attempts:
    """Clients one after another, each with a byte there and back: who was served, and who was reset."""
    attempts = Attempts()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"
                attempts.note(admitted=True)
        except (ConnectionResetError, BrokenPipeError):
            attempts.note(admitted=False)
    return attempts


# Limits


def test_the_rate_holds_over_all_workers_and_changes_in_place(site: Site) -> None:
    limited, free = free_port(), free_port()
    write(site, f"port: {limited}, cps: 100", f"port: {free}")
    site.start()
    workers, inodes = site.workers, listening_inodes(limited)
    assert len(workers) == 3
    drops = 0
    with connection(free) as exchange:
        for rate in (100, 40):
            write(site, f"port: {limited}, cps: {rate}", f"port: {free}")
            if rate != 100:
                site.reload_done()
                assert site.count("~ listener a: cps 100 -> 40") == 1
            attempts = crowd(limited, 2)
            attempts.assert_rate(rate, since=0)
            drops += len(attempts.refused)
            assert 0 < drops == total(site, "dropped_cps")
        write(site, f"port: {limited}", f"port: {free}")
        site.reload_done()
        assert not crowd(limited, 0.3).refused
        assert not crowd(free, 0.3).refused
        assert exchange(b"undisturbed") == b"undisturbed"
    assert sum(row["accepted"] > 0 for row in counter_rows(site.running.pid)) == 3
    assert site.workers == workers
    assert listening_inodes(limited) == inodes


def test_the_number_of_connections_holds_over_all_workers_and_changes_in_place(site: Site) -> None:
    limited, free = free_port(), free_port()
    write(site, f"port: {limited}, max_connections: 6", f"port: {free}")
    site.start()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connection(limited)) for _ in range(6)]
        assert not serves(limited)
        assert total(site, "dropped_max_connections") == 1
        write(site, f"port: {limited}, max_connections: 8", f"port: {free}")
        site.reload_done()
        held += [stack.enter_context(connection(limited)) for _ in range(2)]
        assert not serves(limited)
        assert serves(free)
        write(site, f"port: {limited}, max_connections: 1", f"port: {free}")
        site.reload_done()
        assert not serves(limited)
        assert all(exchange(b"still here") == b"still here" for exchange in held)
    wait_for(lambda: total(site, "connections") == 0, "the end of all")
    assert serves(limited)


def test_a_tls_client_over_the_limit_is_reset_before_any_handshake(site: Site) -> None:
    port = free_port()
    write(site, f"port: {port}, certificate: www, max_connections: 1")
    site.start()
    with tls_client(port):
        # Not a client of Python's ssl: it takes a connection that is reset already for one that was never made.
        with pytest.raises(ConnectionResetError), closing(TlsClient(("127.0.0.1", port))) as refused:
            refused.handshake()
        # A client is done before the server has read its last message, and counted.
        wait_for(lambda: total(site, "handshakes") == 1, "the first client to be counted")
        assert total(site, "dropped_max_connections") == total(site, "handshakes") == 1
        assert total(site, "handshakes_aborted") == 0


def test_places_of_a_worker_that_died_are_free_again(site: Site) -> None:
    port = free_port()
    write(site, f"port: {port}, max_connections: 2", head=HEAD.replace("workers: 2", "workers: 1"))
    site.start()
    with connection(port), connection(port):
        assert not serves(port)
        (worker,) = site.workers
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: site.workers not in ([worker], []) and serves(port), "the heir")


# Segment size


def segment_size(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def test_the_segment_size_changes_on_the_sockets_that_are_open(site: Site) -> None:
    port = free_port()
    write(site, f"port: {port}, mss: 600")
    site.start()
    inodes = listening_inodes(port)
    assert {segment_size(port) for _ in range(10)} <= set(range(560, 601))
    write(site, f"port: {port}, mss: 1200")
    site.reload_done()
    assert {segment_size(port) for _ in range(10)} <= set(range(1160, 1201))
    write(site, f"port: {port}, mss: 20")
    site.reload()
    site.running.wait_line(".*nothing has changed: .*listener a: .*the kernel does not take an mss of 20.*")
    assert {segment_size(port) for _ in range(10)} <= set(range(1160, 1201))
    write(site, f"port: {port}")
    site.reload_done()
    assert min(segment_size(port) for _ in range(10)) > 1500
    assert listening_inodes(port) == inodes


# Start and stop, tags


def test_a_listener_is_stopped_and_started_and_its_connections_go_on(site: Site) -> None:
    switched, other = free_port(), free_port()
    write(site, f"port: {switched}, enabled: false, tags: {{team: web}}", f"port: {other}")
    site.start()
    assert not listening_inodes(switched)
    assert not serves(switched)
    write(site, f"port: {switched}, enabled: true, tags: {{team: web}}", f"port: {other}")
    site.reload_done()
    with connection(switched) as exchange:
        write(site, f"port: {switched}, enabled: false, tags: {{team: web, env: prod}}", f"port: {other}")
        site.reload_done()
        wait_for(lambda: not listening_inodes(switched), "the sockets to close")
        assert not serves(switched)
        assert serves(other)
        assert exchange(b"still here") == b"still here"
    assert site.count("~ listener a: enabled false -> true") == 1
    assert site.count("~ listener a: enabled true -> false, tags [team=web] -> [env=prod, team=web]") == 1
    write(site, f"port: {switched}, tags: {{team: web, env: prod}}", f"port: {other}")
    site.reload_done()
    assert serves(switched)


def test_tags_alone_disturb_nothing(site: Site) -> None:
    port = free_port()
    write(site, f"port: {port}, tags: {{team: web}}")
    site.start()
    inodes = listening_inodes(port)
    with connection(port) as exchange:
        write(site, f"port: {port}, tags: {{team: api}}")
        site.reload_done()
        assert site.count("~ listener a: tags [team=web] -> [team=api]") == 1
        assert exchange(b"still here") == b"still here"
    assert listening_inodes(port) == inodes


# Dead peers


def keepalive_timers(port: int) -> list[float]:
    """Seconds until the next probe on each open connection from or to that port that has probes."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = []
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, remote, state, _, timer, *_ = line.split()
        ports = {int(end.rpartition(":")[2], 16) for end in (local, remote)}
        if port in ports and state == "01" and timer.startswith("02:"):
            found.append(int(timer[3:], 16) / ticks)
    return found


def test_both_sides_of_a_connection_are_probed(site: Site) -> None:
    """The client's and the server's own sockets have no probes, so those that have are the worker's.

    They are switched on a few seconds into the connection's life, and counted from when it last moved.
    """
    port = free_port()
    write(site, f"port: {port}")
    site.start()
    with connection(port):
        for each in (port, site.server[1]):
            (seconds,) = wait_for(lambda port=each: keepalive_timers(port), f"probes on port {each}")
            assert 45 < seconds < 58


# The idle timeout


def test_the_idle_timeout_of_one_listener_changes_for_new_connections_only(site: Site) -> None:
    one, other = free_port(), free_port()
    write(site, f"port: {one}, certificate: www", f"port: {other}")
    site.start()
    with tls_client(one) as before, connection(other) as exchange:
        write(site, f"port: {one}, certificate: www, idle_timeout: 1", f"port: {other}")
        site.reload_done()
        begun = time.monotonic()
        with tls_client(one) as after:
            # Without a close_notify it would raise ssl.SSLEOFError.
            after.suppress_ragged_eofs = False
            assert after.recv(1) == b""
            assert 0.9 < time.monotonic() - begun < 9
        wait_for(lambda: total(site, "closed_idle") == 1, "the count")
        before.sendall(b"still here")
        assert before.recv(100) == b"still here"
        assert exchange(b"still here") == b"still here"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_either_direction_keeps_a_connection(site: Site, direction: str) -> None:
    """A server that only listens, or a client that does: bytes one way are enough."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        write(site, f"port: {port}, idle_timeout: 2", server=server.getsockname())
        site.start()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            taken, _ = server.accept()
            taken.settimeout(10)
            source, sink = (client, taken) if direction == "up" else (taken, client)
            begun = time.monotonic()
            while time.monotonic() - begun < 3.5:
                source.sendall(b"x")
                assert sink.recv(1) == b"x"
                time.sleep(0.1)
            assert sink.recv(1) == b""
            assert 5.3 < time.monotonic() - begun < 12
            taken.close()
    wait_for(lambda: total(site, "closed_idle") == 1, "the count")


# IPv6


def has_ipv6() -> bool:
    try:
        free_port("::1")
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("server_host", ["127.0.0.1", "::1"])
def test_clients_and_servers_of_both_families(site: Site, tmp_path: Path, server_host: str) -> None:
    """Two listeners on one port, one for each family, in front of servers of either."""
    port = free_port("::1")
    (tmp_path / "server").mkdir()
    with servers.running("echo", tmp_path / "server", server_host) as server:
        write(site, f"port: {port}, address: '::'", f"port: {port}, address: 0.0.0.0", server=server)
        site.start()
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), timeout=10) as sock:
                sock.sendall(b"hello")
                assert sock.recv(100) == b"hello"
        assert total(site, "connects") == 2
