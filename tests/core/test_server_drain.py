"""A server that takes no new connections: what becomes of those it has."""

import time

import pytest
from support.procs import wait_for, wait_steady
from support.rig import Rig, echo, group_fields

from fastnlb.board import Board, Health

LATE = 10.0  # seconds in which a second or two have passed on any machine


@pytest.fixture
def board():
    return Board.create(workers=1)


@pytest.fixture
def start(board):
    made = []

    def make(servers, **group):
        made.append(Rig(servers, board=(board.address(), board.places, len(made)), group=group))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def servers(backend):
    return [backend(echo).address for _ in range(2)]


def connected(one, count=2):
    """So many clients that have been served; with rr the first is on the first server."""
    clients = [one.connect() for _ in range(count)]
    for client in clients:
        assert lives(client)
    return clients


def lives(client):
    client.sendall(b"x")
    return client.recv(1) == b"x"


def change(one, servers, generation=2, **group):
    with one.paused() as engine:
        listener = (["l"], (0, None, 10_000, 5_000, 900_000, 0, 0, 0, b"l", None))
        engine.prepare(generation, [listener], [group_fields(servers, **group)], {})
        engine.commit()


def looks(one, times=1):
    """Waits until the engine has looked at its servers so often: with silent clients nothing else wakes it."""
    turns = wait_steady(lambda: one.counters()["turns"], "the engine", quiet=0.05)
    one.wait_for(turns=turns + times)


def ended_after(client, since):
    """Seconds from `since`, on the monotonic clock, until the engine has ended it."""
    assert client.recv(1) == b""
    return time.monotonic() - since


def test_connections_of_an_unhealthy_server_go_on(board, start, servers):
    one, other = start(servers), start(servers, drain_ms=0)
    clients, (drained, _) = connected(one), connected(other)
    board.set_health(0, Health.UNHEALTHY)
    assert drained.recv(1) == b"", "where there is a timeout"
    assert all(lives(client) for client in clients)


def test_they_end_when_the_drain_timeout_has_passed(board, start, servers):
    one = start(servers, drain_ms=1000)
    first, second = connected(one)
    before = time.monotonic()
    board.set_health(0, Health.UNHEALTHY)
    assert 0.9 < ended_after(first, before) < LATE
    first.close()
    one.wait_for(closed_drained=1)
    assert lives(second)
    assert one.counters()["closed_drained"] == 1


def test_a_timeout_of_0_ends_them_within_a_second_or_so(board, start, servers):
    one = start(servers, drain_ms=0)
    first, second = connected(one)
    before = time.monotonic()
    board.set_health(0, Health.UNHEALTHY)
    assert ended_after(first, before) < LATE
    assert lives(second)


def test_a_server_that_recovers_in_time_keeps_them(board, start, servers):
    one = start(servers, drain_ms=3000)
    clients = connected(one)
    begun = time.monotonic()
    while time.monotonic() < begun + 4:  # each look takes a second, more where the machine is busy
        for health in (Health.UNHEALTHY, Health.HEALTHY):
            board.set_health(0, health)
            looks(one)
    assert all(lives(client) for client in clients)


def test_a_server_seen_out_long_ago_starts_its_time_anew(board, start, servers):
    """Nobody looks while there is no connection: that it is out now does not say that it was all the time."""
    one = start(servers, drain_ms=1500)
    (first,) = connected(one, 1)
    board.set_health(0, Health.UNHEALTHY)
    looks(one)
    seen = time.monotonic()
    first.close()
    one.wait_idle()
    wait_for(lambda: time.monotonic() > seen + 2.5, "its time to be up, had anybody looked")
    connected(one, 1)
    board.set_health(0, Health.HEALTHY)
    clients = connected(one)
    board.set_health(0, Health.UNHEALTHY)
    looks(one)
    assert all(lives(client) for client in clients)


def test_nobody_is_ended_who_had_no_other_server(board, start, servers):
    for cell in (0, 1):
        board.set_health(cell, Health.UNHEALTHY)
    one = start(servers, drain_ms=0)
    clients = connected(one)
    looks(one, 2)
    assert all(lives(client) for client in clients)


def test_a_removed_server_is_drained_by_the_timeout_it_had(start, servers):
    one = start(servers, drain_ms=1000)
    first, second = connected(one)
    before = time.monotonic()
    change(one, servers[1:], drain_ms=1000, cells=[1])
    assert 0.9 < ended_after(first, before) < LATE
    assert lives(second)


def test_so_is_one_of_weight_0_and_new_connections_go_elsewhere(start, servers):
    one = start(servers, drain_ms=1000)
    first, second = connected(one)
    before = time.monotonic()
    change(one, servers[::-1], weights=[1, 0], drain_ms=1000, cells=[1, 0])
    third = connected(one, 1)[0]
    assert 0.9 < ended_after(first, before) < LATE
    assert lives(second)
    assert lives(third)


def test_the_newest_configuration_has_the_say(start, servers):
    one = start(servers, drain_ms=0)
    clients = connected(one)
    change(one, servers[1:], cells=[1])
    looks(one, 2)
    assert all(lives(client) for client in clients), "the timeout was taken out"
    before = time.monotonic()
    change(one, servers[1:], 3, drain_ms=0, cells=[1])
    assert ended_after(clients[0], before) < LATE
    assert lives(clients[1])


def test_the_connections_of_a_removed_group_end_by_what_it_had(start, servers):
    one = start(servers, drain_ms=0)
    clients = connected(one)
    before = time.monotonic()
    change(one, servers[:1], cells=[7])
    assert all(ended_after(client, before) < LATE for client in clients)


def test_an_idle_engine_is_woken_only_where_there_is_something_to_look_at(start, servers):
    idle, asleep, looking = start(servers, drain_ms=0), start(servers), start(servers, drain_ms=0)
    connected(asleep)
    connected(looking)
    looks(looking)
    before = [
        # A connection is looked at once more, in its first seconds.
        wait_steady(lambda engine=one: engine.counters()["turns"], "the engine", quiet=5.5)
        for one in (idle, asleep)
    ]
    looks(looking, 2)
    assert [one.counters()["turns"] for one in (idle, asleep)] == before
