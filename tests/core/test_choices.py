"""Real connections: which server they reach, over two engines that share a board, and when servers fail."""

from collections import Counter

import pytest
from support.rig import Rig, echo, receive_all

from fastnlb.board import Board, Health


@pytest.fixture
def board():
    return Board.create(workers=2)


@pytest.fixture
def workers(board):
    """workers(servers, **group) starts two engines side by side."""
    made = []

    def start(servers, **group):
        for place in (0, 1):
            made.append(Rig(servers, board=(board.address(), board.places, place), group=group))
        return made[-2:]

    yield start
    for one in made:
        one.close()


def named(backend, *names):
    """Servers that say their name and then echo."""
    return [backend(lambda sock, name=name: (sock.sendall(name), echo(sock))).address for name in names]


def who(one):
    """A new connection, and the server that it reached."""
    client = one.connect()
    return client, client.recv(1)


def test_least_connections_are_counted_over_both_engines(backend, board, workers):
    one, other = workers(named(backend, b"a", b"b"), scheduler="wlc")
    kept = [who(one) for _ in range(6)]
    assert Counter(name for _, name in kept) == {b"a": 3, b"b": 3}
    for client, name in kept:
        if name == b"a":
            client.close()
    one.wait_for(closed_clean=3)
    assert [name for _, name in [who(other) for _ in range(3)]] == [b"a"] * 3
    assert board.server_connections(0) == board.server_connections(1) == 3


def test_both_engines_send_a_source_to_the_same_server(backend, workers):
    engines = workers(named(backend, b"a", b"b", b"c"), scheduler="sch")
    assert len({who(one)[1] for one in engines for _ in range(5)}) == 1


def test_four_tuples_are_spread(backend, workers):
    one, _ = workers(named(backend, b"a", b"b"), scheduler="tch")
    assert {who(one)[1] for _ in range(40)} == {b"a", b"b"}


@pytest.mark.parametrize("scheduler", ["rr", "wrr", "wlc", "sch", "tch"])
def test_a_change_of_health_is_seen_at_once(backend, board, workers, scheduler):
    engines = workers(named(backend, b"a", b"b"), scheduler=scheduler)
    for out in (0, 1):
        board.set_health(out, Health.UNHEALTHY)
        board.set_health(1 - out, Health.HEALTHY)
        assert {who(one)[1] for one in engines for _ in range(4)} == {b"ba"[out : out + 1]}
    board.set_health(0, Health.UNHEALTHY)
    assert who(engines[0])[1] in b"ab"
    assert engines[0].counters()["picks_fail_open"] == 1


@pytest.mark.parametrize("scheduler", ["rr", "wrr", "wlc", "sch", "tch"])
def test_a_server_that_refuses_is_blamed_and_another_one_serves(backend, board, workers, scheduler):
    dead = backend(echo)
    dead.close()
    one, _ = workers([dead.address, *named(backend, b"b")], scheduler=scheduler)
    assert [who(one)[1] for _ in range(12)] == [b"b"] * 12
    assert board.failures(0) == one.counters()["connects_failed"]
    assert board.failures(1) == 0


def test_one_success_forgives_all_failures(backend, board, workers):
    server = backend(echo)
    address = server.address
    server.close()
    one, other = workers([address])
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            receive_all(one.connect())
    assert board.failures(0) == 3
    assert one.counters()["connects_failed"] == 3, "one server is tried once"
    listener = backend(lambda sock: sock.sendall(b"x"), port=address[1])
    assert receive_all(other.connect()) == b"x"
    assert board.failures(0) == 0
    listener.close()


def test_a_server_that_does_not_answer_is_blamed_too(backend, board, black_hole):
    one = Rig([black_hole, *named(backend, b"b")], board=(board.address(), board.places, 0), connect_ms=200)
    assert who(one)[1] == b"b"
    assert board.failures(0) == 1
    one.close()


def test_behind_another_balancer_the_hash_is_of_the_client_that_it_names(backend):
    """One peer for all connections: without its PROXY headers they would all go to one server."""

    def name(number):
        return lambda sock: sock.sendall(bytes([number]))

    servers = [backend(name(number)).address for number in range(4)]
    trusted = (None, [(bytes(10) + b"\xff\xff" + bytes([127, 0, 0, 1]), 128)])
    one = Rig(servers, group={"scheduler": "sch"}, proxy=trusted)

    def visit(client):
        sock = one.connect()
        sock.sendall(f"PROXY TCP4 10.0.0.{client} 10.1.1.1 {1000 + client} 443\r\n".encode())
        return sock.recv(1)

    first = [visit(client) for client in range(40)]
    assert len(set(first)) == 4
    assert [visit(client) for client in range(40)] == first
    one.close()
