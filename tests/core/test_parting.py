"""Listening sockets on their way out: they accept for a second for the configuration they had, and leave nothing."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.procs import wait_for
from support.rig import HOST, echo, group_fields, listening_socket

from fastnlb._core.defs import StopReason
from fastnlb._core.engine import Engine

SECOND = 1.0  # PARTING_MS


class Moving:
    """An Engine whose listeners come and go, in a thread of its own between two changes."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.engine = Engine(None)
        self.group = group_fields([server])
        self.generation = 0
        self.stops: list[StopReason] = []
        self._wake, self._waker = socket.socketpair()
        self.engine.watch(self._wake.fileno())
        self._thread: threading.Thread | None = None

    def serve(self, **sockets: socket.socket | None) -> None:
        """From now on the listeners of these names, with the socket given or the one they have."""
        with self.still():
            self.generation += 1
            fresh = {name: sock.detach() for name, sock in sockets.items() if sock is not None}
            listeners = [
                ([name], (0, None, 10_000, 5_000, 60_000, -1, 0, 0, name.encode(), None)) for name in sockets
            ]
            self.engine.prepare(self.generation, listeners, [self.group], fresh)
            self.engine.commit()

    @contextmanager
    def still(self) -> Iterator[Engine]:
        if self._thread is not None:
            self._waker.send(b"x")
            self._thread.join(10)
            self._wake.recv(1)
        yield self.engine
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self.stops.append(self.engine.run())
            if self.stops[-1] in (StopReason.STOP_WATCH, StopReason.STOP_DRAINED):
                return

    def close(self) -> None:
        with self.still():
            pass
        self._waker.send(b"x")
        assert self._thread is not None
        self._thread.join(10)
        self.engine.close()
        self._wake.close()
        self._waker.close()
        assert not any(self.engine.debug_counts().values()), self.engine.debug_counts()


@pytest.fixture
def moving(backend: Any) -> Iterator[Moving]:
    made = Moving(backend(echo).address)
    yield made
    made.close()


def answers(address: tuple[str, int]) -> bool:
    """False: refused."""
    try:
        with socket.create_connection(address, timeout=5) as sock:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"
    except ConnectionRefusedError:
        return False


def test_a_removed_listener_accepts_for_a_second(moving: Moving) -> None:
    staying, leaving = listening_socket(), listening_socket()
    kept, gone = staying.getsockname(), leaving.getsockname()
    moving.serve(a=staying, b=leaving)
    before = time.monotonic()
    moving.serve(a=None)
    assert answers(gone)
    wait_for(lambda: not answers(gone), "the socket to close")
    assert SECOND - 0.1 < time.monotonic() - before < SECOND + 9
    assert answers(kept)
    assert moving.stops.count(StopReason.STOP_PARTED) == 1
    with moving.still() as engine:
        assert engine.parting() is None
        assert engine.generations() == {2}


def test_what_is_accepted_meanwhile_is_served_as_it_was(moving: Moving, backend: Any) -> None:
    """Under its own table, whatever stands at its index in the new one."""
    leaving, coming = listening_socket(), listening_socket()
    gone = leaving.getsockname()
    moving.serve(a=leaving)

    def shout(sock: socket.socket) -> None:
        sock.sendall(sock.recv(1).upper())

    moving.group = group_fields([backend(shout).address])
    moving.serve(b=coming)
    with moving.still() as engine:
        assert engine.parting() == 1
        assert engine.generations() == {1, 2}
        assert engine.debug_counts()["parting"] == 1
    assert answers(gone)
    wait_for(lambda: not answers(gone), "the socket to close")


def test_a_listener_that_moves_parts_from_its_old_socket(moving: Moving) -> None:
    first, second = listening_socket(), listening_socket()
    old, new = first.getsockname(), second.getsockname()
    moving.serve(a=first)
    moving.serve(a=second)
    assert answers(old)
    assert answers(new)
    wait_for(lambda: not answers(old), "the old socket to close")
    assert answers(new)


def test_sockets_of_several_changes_part_at_their_own_time(moving: Moving) -> None:
    socks = [listening_socket() for _ in range(3)]
    addresses = [each.getsockname() for each in socks]
    moving.serve(a=socks[0], b=socks[1], c=socks[2])
    moving.serve(a=None, b=None)
    select.select([], [], [], 0.3)
    moving.serve(a=None)
    with moving.still() as engine:
        assert engine.parting() == 1
    wait_for(lambda: not answers(addresses[2]), "the first to close")
    assert answers(addresses[1])
    with moving.still() as engine:
        assert engine.parting() == 2
    wait_for(lambda: not answers(addresses[1]), "the second to close")


def test_a_drain_leaves_those_named_for_a_second(moving: Moving) -> None:
    staying, leaving = listening_socket(), listening_socket()
    at_once, parting = staying.getsockname(), leaving.getsockname()
    moving.serve(a=staying, b=leaving)
    with moving.still() as engine:
        engine.drain(10, parting=["b"])
    assert not answers(at_once)
    assert answers(parting)
    assert StopReason.STOP_DRAINED not in moving.stops
    wait_for(lambda: StopReason.STOP_DRAINED in moving.stops, "the drain to end", 5)


def test_nothing_parts_for_longer_than_the_drain_may_take(backend: Any) -> None:
    took = []
    for _ in range(4):  # a machine that is slow now and then is not slow every time
        moving = Moving(backend(echo).address)
        moving.serve(a=listening_socket())
        before = time.monotonic()
        with moving.still() as engine:
            engine.drain(0.1, parting=["a"])
        wait_for(lambda moving=moving: StopReason.STOP_DRAINED in moving.stops, "the drain to end")
        took.append(time.monotonic() - before)
        moving.close()
    assert min(took) < SECOND


def test_an_engine_that_is_closed_meanwhile_leaves_nothing(backend: Any) -> None:
    moving = Moving(backend(echo).address)
    sock = listening_socket()
    port = sock.getsockname()[1]
    moving.serve(a=sock)
    moving.serve()
    moving.close()
    with socket.socket() as probe:
        probe.bind((HOST, port))
