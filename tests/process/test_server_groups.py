"""Schedulers and draining with a whole daemon: two workers that agree, and reloads that change a group."""

import socket
from collections import Counter

import pytest
from support.procs import free_port
from support.rig import echo
from support.site import HEAD, Site


@pytest.fixture
def site(tmp_path):
    one = Site(tmp_path, ("127.0.0.1", 1))
    yield one
    one.end()


@pytest.fixture
def servers(backend):
    return [backend(lambda sock, name=name: (sock.sendall(name), echo(sock))).address for name in (b"a", b"b")]


@pytest.fixture
def clients():
    made = []
    yield made
    for client in made:
        client.close()


def write(site, port, servers, settings, weights=(1, 1)):
    listed = ", ".join(
        f"{{address: {host}, port: {at}, weight: {weight}}}"
        for (host, at), weight in zip(servers, weights, strict=False)
    )
    site.file.write_text(
        f"{HEAD}server_groups: [{{name: g, {settings}, servers: [{listed}]}}]\n"
        f"listeners: [{{name: l, protocol: TCP, address: 127.0.0.1, port: {port}, server_group: g}}]\n"
    )


def connect(clients, port, count):
    """So many more connections, and the servers they reached."""
    made = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
    clients.extend(made)
    return [client.recv(1) for client in made]


def test_workers_count_together_and_a_removed_server_is_drained(site, servers, clients):
    port = free_port()
    write(site, port, servers, "scheduler: WLC, connection_drain_timeout: 1")
    site.start()
    names = [name for _ in range(12) for name in connect(clients, port, 1)]
    assert Counter(names) == {b"a": 6, b"b": 6}
    write(site, port, servers[1:], "scheduler: WLC, connection_drain_timeout: 1")
    site.reload_done()
    for client, name in zip(clients, names, strict=True):
        if name == b"a":
            assert client.recv(1) == b"", "ended by the drain timeout"
        else:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
    assert connect(clients, port, 4) == [b"b"] * 4


def test_a_source_stays_with_its_server_through_reloads_and_workers(site, servers, clients):
    port = free_port()
    write(site, port, servers, "scheduler: sch")
    site.start()
    (name,) = set(connect(clients, port, 12))
    write(site, port, servers[::-1], "scheduler: sch, connection_drain_timeout: 900")
    site.reload_done()
    assert site.count("connection_drain_timeout none -> 900") == 1
    assert set(connect(clients, port, 12)) == {name}
    here = b"ab".index(name)
    write(site, port, servers, "scheduler: sch", [int(at != here) for at in range(2)])
    site.reload_done()
    assert set(connect(clients, port, 6)) == {b"ba"[here : here + 1]}
    clients[0].sendall(b"x")
    assert clients[0].recv(1) == b"x", "running connections go on"
