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


def test_places_are_taken_before_they_count_and_stay_taken(backend, board):
    server = backend(echo)
    for place, taken in ((1, 2), (0, 2), (40, 41), (board.places - 1, board.places)):
        one = Rig([server.address], board=(board.address(), board.places, place))
        assert board.places_taken() == taken
        one.close()
    assert board.places_taken() == board.places


def test_a_worker_that_comes_later_is_counted_by_those_that_run(backend, board):
    """max_connections is asked of the sum that a choice by load adds up too."""
    servers, fields = [backend(echo).address], (board.address(), board.places)
    old = Rig(servers, board=(*fields, 0), limits=[(0, 1)])
    new = Rig(servers, board=(*fields, 40))
    client = new.connect()
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    with pytest.raises(ConnectionResetError):
        old.connect().recv(1)
    old.wait_for(dropped_max_connections=1)
    for one in (old, new):
        one.close()


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
