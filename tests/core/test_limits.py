"""cps and max_connections: over all workers, exact, changed in place, and of one listener alone.

Two rigs on one board are two workers of a daemon.
"""

import contextlib
import socket
import threading
import time

import pytest
from support.procs import wait_for
from support.rates import BURST, Attempts
from support.rig import NO_LIMITS, Rig, echo

from fastnlb.board import Board


@pytest.fixture
def board():
    yield Board.create(workers=2)


@pytest.fixture
def workers(backend, board):
    """workers(*limits) starts two rigs whose listeners have these limits."""
    made = []

    def start(*limits):
        server = backend(greet)
        made.extend(
            Rig([server.address], board=(board.address(), board.places, place), limits=limits) for place in (0, 1)
        )
        return made

    yield start
    for one in made:
        one.close()


def greet(sock):
    sock.sendall(b"!")
    echo(sock)


def served(sock):
    """Whether the connection was let in; one that was not has been reset, before a byte."""
    try:
        return sock.recv(1) == b"!"
    except ConnectionResetError:
        return False


def knock(address):
    try:
        with socket.create_connection(address, timeout=20) as sock:
            return served(sock)
    except ConnectionResetError:
        return False


class Crowd(Attempts):
    """Clients that come again as soon as they were served or refused, until the block ends."""

    def __init__(self, workers, each=2):
        super().__init__()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(one.address,), daemon=True)
            for one in workers
            for _ in range(each)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, address):
        while not self._end.is_set():
            admitted = knock(address)
            self.note(admitted)
            if not admitted:
                time.sleep(0.001)


def total(workers, name):
    return sum(one.counters()[name] for one in workers)


@pytest.mark.parametrize("rate", [5, 100, 200])
def test_the_rate_of_all_workers_together_is_exact(workers, rate):
    both = workers((rate, 0))
    with Crowd(both) as crowd:
        since = time.monotonic() + 0.2
        crowd.wait_pressed(since, 3)
    crowd.assert_rate(rate, since)
    assert len(crowd.refused) == total(both, "dropped_cps") > 0
    assert total(both, "accepted") == len(crowd.admitted)
    assert total(both, "dropped_max_connections") == 0
    assert all(one.counters()["accepted"] for one in both)


def test_a_new_rate_holds_at_once(workers):
    """Also after a low one: nobody waits for what was due under it."""
    both = workers((1, 0))
    with Crowd(both) as crowd:
        wait_for(lambda: len(crowd.refused) > 10, "the first rate to be reached")
        for rate in (200, 50):
            for one in both:
                one.limit((rate, 0))
            changed = time.monotonic() + 0.2
            crowd.wait_pressed(changed, 1.5)
            crowd.assert_rate(rate, changed)
        for one in both:
            one.limit((0, 0))
        refused, admitted = len(crowd.refused), len(crowd.admitted)
        wait_for(lambda: len(crowd.admitted) > admitted + 100, "clients without a limit")
        assert len(crowd.refused) <= refused + 4, "still refused after the limit was lifted"


def test_the_limits_of_one_listener_do_not_touch_another(workers):
    (one, _) = workers((1, 2), NO_LIMITS)
    kept = [one.connect(1) for _ in range(20)]
    assert all(map(served, kept))
    assert any(not knock(one.address) for _ in range(3))
    assert all(knock(one.addresses[1]) for _ in range(50))


def test_a_low_rate_lets_the_first_one_in_and_the_next_in_its_time(workers):
    (one, other) = workers((2, 0))
    before = time.monotonic()
    assert knock(one.address)
    assert not knock(other.address)
    wait_for(lambda: knock(other.address), "the next turn")
    assert time.monotonic() - before > 0.5 - BURST


def test_no_more_connections_at_one_time_than_allowed_over_all_workers(workers, board):
    both = workers((0, 10))
    held = [one.connect() for one in both * 5]
    assert all(map(served, held))
    assert not any(knock(one.address) for one in both * 3)
    assert total(both, "dropped_max_connections") == 6
    assert board.listener_connections(0) == 10
    # The place of one that ends is free for either worker.
    held.pop(0).close()
    wait_for(lambda: board.listener_connections(0) == 9, "the place")
    held.append(both[1].connect())
    assert served(held[-1])
    assert not knock(both[0].address)
    assert total(both, "accepted") == 11


def test_a_changed_number_of_connections_ends_none(workers):
    both = workers((0, 4))
    held = [one.connect() for one in both * 2]
    assert all(map(served, held))
    for one in both:
        one.limit((0, 2))
    assert not knock(both[0].address)
    for each in held:
        each.sendall(b"x")
        assert each.recv(1) == b"x"
    for one in both:
        one.limit((0, 5))
    held.append(both[0].connect())
    assert served(held[-1])
    assert not knock(both[1].address)


def test_a_storm_never_passes_the_limit(workers, board):
    both = workers((0, 3))
    inside, most, admitted = [], [], []
    end = threading.Event()

    def come_and_stay(address):
        while not end.is_set():
            with contextlib.suppress(ConnectionResetError), socket.create_connection(address, timeout=20) as sock:
                if served(sock):
                    # What is in the list was let in and has not left, whenever somebody looks.
                    inside.append(sock)
                    most.append(len(inside))
                    time.sleep(0.002)
                    inside.remove(sock)
                    admitted.append(sock)

    threads = [threading.Thread(target=come_and_stay, args=(one.address,), daemon=True) for one in both * 4]
    for thread in threads:
        thread.start()
    wait_for(lambda: min(len(admitted), total(both, "dropped_max_connections")) > 300, "a storm", 30)
    end.set()
    for thread in threads:
        thread.join(20)
    assert max(most) == 3
    assert len(admitted) == total(both, "accepted")
    wait_for(lambda: board.listener_connections(0) == 0, "every place to be given back")


def test_one_who_finds_no_place_takes_nobodys_turn(workers):
    """max_connections is asked before cps."""
    (one, _) = workers((1, 1))
    held = one.connect()
    assert served(held)
    assert not any(knock(one.address) for _ in range(20))
    assert one.counters()["dropped_cps"] == 0
    assert one.counters()["dropped_max_connections"] == 20
