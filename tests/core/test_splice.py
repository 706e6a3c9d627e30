"""Bulk on plain connections goes through pipes: all of it, in order, and only bulk; what cannot, is copied."""

import hashlib
import random
import socket
import threading
from pathlib import Path

import pytest
from fastnlb._core._testing import RelayProbe
from support.bulk import BLOCK, at_once, digest_of, pour, swallow, wait_stuck
from support.clients import of_rig
from support.procs import wait_for
from support.rig import echo

from fastnlb._core.defs import ConnState

MIB = 1 << 20
SIZE = 256 * MIB


def number_of_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def small_window_client(one):
    return of_rig(one, "plain", receive_buffer=32_768)


def assert_mostly_spliced(one, least=0.25):
    numbers = one.counters()
    assert numbers["bytes_spliced"] > least * (numbers["bytes_up"] + numbers["bytes_down"]), numbers


def test_bulk_goes_both_ways_at_once_without_copies(rig, backend):
    digests = {}

    def serve(sock):
        at_once(lambda: pour(sock, SIZE), lambda: digests.update(up=swallow(sock, SIZE)))

    one = rig([backend(serve).address])
    client = one.connect()
    at_once(lambda: pour(client, SIZE), lambda: digests.update(down=swallow(client, SIZE)))
    wait_for(lambda: len(digests) == 2, "the server to read it all")
    assert digests == dict.fromkeys(("up", "down"), digest_of(SIZE))
    client.close()
    one.wait_nothing_held()
    assert one.counters()["bytes_up"] == one.counters()["bytes_down"] == SIZE
    assert_mostly_spliced(one)


@pytest.mark.parametrize("size", [1, 1024, 60_000])
def test_small_messages_never_take_a_pipe(rig, backend, size):
    one = rig([backend(echo).address])
    client = of_rig(one, "plain")
    for _ in range(1000):
        client.send(BLOCK[:size])
        assert client.receive_exactly(size) == BLOCK[:size]
    assert one.counters()["bytes_spliced"] == one.counters()["pipes_made"] == one.counters()["pipes_refused"] == 0


def test_small_messages_and_bulk_in_turn_arrive_in_order(rig, backend):
    one = rig([backend(echo).address])
    client = one.connect()
    choose = random.Random(3)  # noqa: S311  the same choices in every run
    for _ in range(40):
        size = choose.choice([1, 1024, 100_000, 4 * MIB, 10 * MIB])
        sending = threading.Thread(target=pour, args=(client, size))
        sending.start()
        assert swallow(client, size) == digest_of(size)
        sending.join(10)
    assert one.counters()["bytes_spliced"] > 0


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_tls_is_not_spliced(rig, backend, material, version):
    one = rig([backend(lambda sock: pour(sock, 30 * MIB)).address], material.server_context())
    client = of_rig(one, version)
    found = hashlib.sha256()
    while data := client.receive():
        found.update(data)
    assert found.digest() == digest_of(30 * MIB)
    assert one.counters()["bytes_spliced"] == one.counters()["pipes_made"] == 0


def test_an_idle_engine_closes_its_pipes_with_itself(rig, backend):
    before = number_of_descriptors()
    one = rig([backend(lambda sock: pour(sock, 50 * MIB)).address])
    client = one.connect()
    swallow(client, 50 * MIB)
    client.close()
    one.wait_nothing_held()
    assert one.counters()["pipes_made"] > 0
    one.pause()
    one.engine.close()
    assert number_of_descriptors() <= before + 5, "the server's listener and the rig's own pair and ledger are left"


def test_an_engine_that_is_closed_closes_full_pipes_too(rig, backend):
    one = rig([backend(lambda sock: pour(sock, 500 * MIB)).address])
    client = small_window_client(one)
    swallow(client.socket, 8 * MIB)
    wait_stuck(one)
    before = number_of_descriptors()
    one.pause()
    one.engine.close()
    # Two of the connection, two of its pipe, the listening socket, epoll.
    assert number_of_descriptors() <= before - 6


# --- running out of pipes --------------------------------------------------------------------------------------


def test_without_any_pipe_everything_arrives(rig, backend):
    one = rig([backend(lambda sock: pour(sock, 50 * MIB)).address], descriptor_limit=15)
    client = one.connect()
    assert swallow(client, 50 * MIB) == digest_of(50 * MIB)
    wait_for(lambda: one.counters()["pipes_refused"], "the loop to ask for a pipe")
    assert one.counters()["bytes_spliced"] == one.counters()["pipes_made"] == 0


def test_those_that_find_no_pipe_are_served_beside_those_that_do(rig, backend):
    size = 60 * MIB
    one = rig([backend(lambda sock: pour(sock, size)).address], descriptor_limit=64)
    clients = [small_window_client(one) for _ in range(8)]
    for client in clients:
        client.digest = hashlib.sha256(client.receive_exactly(8 * MIB))
    wait_stuck(one, pipes=4)
    assert one.counters()["pipes_made"] == 4, "an eighth of the descriptors"
    assert one.counters()["pipes_refused"] > 0
    for client in clients:
        while data := client.receive():
            client.digest.update(data)
        assert client.digest.digest() == digest_of(size)
    assert one.counters()["bytes_down"] == 8 * size
    assert one.counters()["bytes_spliced"] > 0


def test_connections_come_before_pipes(rig, backend):
    def behave(sock):
        if sock.recv(1) == b"b":
            pour(sock, 30 * MIB)
        sock.recv(1)

    one = rig([backend(behave).address], descriptor_limit=34)
    first = one.connect()
    first.sendall(b"b")
    swallow(first, 30 * MIB)
    assert one.counters()["bytes_spliced"] > 0
    crowd = [one.connect() for _ in range(16)]
    for client in crowd:
        client.sendall(b"s")
    one.wait_for(connects=17)
    assert one.counters()["connections"] == 17
    assert one.counters()["pipes_made"] == 0


# --- other sockets ---------------------------------------------------------------------------------------------


def test_sockets_of_the_unix_domain_are_spliced_too():
    (client, client_peer), (server, server_peer) = socket.socketpair(), socket.socketpair()
    for sock in (client, server):
        sock.setblocking(False)
    client_peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MIB)
    client_peer.settimeout(0.0)
    server_peer.settimeout(0.0)
    relay = RelayProbe(None, None, client_fd=client.detach(), server_fd=server.detach())
    sent, received, size = 0, bytearray(), 20 * MIB
    text = (BLOCK * 21)[:size]
    while len(received) < size:
        try:
            while sent < size:
                sent += client_peer.send(text[sent : sent + 200_000])
        except BlockingIOError:
            pass
        assert relay.advance() == ConnState.CONN_RELAY
        try:
            while True:
                received += server_peer.recv(MIB)
        except BlockingIOError:
            pass
    assert bytes(received) == text
    assert relay.spliced > size // 4
    assert relay.pipes_lent == relay.buffers_lent == 0
    client_peer.close()
    server_peer.close()
    relay.advance()
    assert relay.state != ConnState.CONN_RELAY
