"""What the core writes to the shared board: its own connections per server and listener, until they end."""

import pytest
from support.rig import Rig, echo
from support.tls_client import TlsClient

from fastnlb.board import Board


@pytest.fixture
def board():
    made = Board.create(workers=2)
    yield made


def test_connections_count_while_they_last(backend, board):
    servers = [backend(echo).address, backend(echo).address]
    rigs = [Rig(servers, board=(board.address(), board.places, place)) for place in (0, 1)]
    clients = [one.connect() for one in rigs for _ in range(4)]
    for client in clients:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert [board.server_connections(cell) for cell in (0, 1, 2)] == [4, 4, 0]
    assert board.listener_connections(0) == 8
    for client in clients[:4]:
        client.close()
    rigs[0].wait_nothing_held()
    assert [board.server_connections(cell) for cell in (0, 1)] == [2, 2]
    for one in rigs:
        one.close()
    assert [board.server_connections(cell) for cell in (0, 1)] == [0, 0]
    assert board.listener_connections(0) == 0


def test_a_connection_counts_on_the_server_that_took_it_in_the_end(backend, board, black_hole):
    dead = backend(echo)
    dead.close()
    one = Rig([dead.address, backend(echo).address], board=(board.address(), board.places, 0))
    client = one.connect()
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    assert [board.server_connections(cell) for cell in (0, 1)] == [0, 1]
    one.close()
    assert [board.server_connections(cell) for cell in (0, 1)] == [0, 0]


def test_a_client_that_fails_its_handshake_leaves_no_count(backend, board, material):
    one = Rig([backend(echo).address], material.server_context(), board=(board.address(), board.places, 1))
    TlsClient(one.address, ciphers="AES128-SHA", version="TLSv1.2").refused()
    one.wait_for(handshakes_failed=1)
    one.close()
    assert board.listener_connections(0) == 0
