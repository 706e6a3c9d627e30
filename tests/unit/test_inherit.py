"""What a successor is handed: taken whole or not at all, and used only when it is what it is said to be."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from support.procs import descriptors, free_port

from fastnlb.channel import Channel, ChannelError, channel_pair
from fastnlb.master import inherit
from fastnlb.master.inherit import InheritError, Predecessor, receive
from fastnlb.master.sockets import SocketTable
from fastnlb.master.upgrade import SUCCESSION, Estate, _frames
from fastnlb.model import TCP, Listener


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    before = descriptors(os.getpid())
    yield
    assert descriptors(os.getpid()) == before


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    """The predecessor's end; the other is where a successor finds it."""
    ours, theirs = channel_pair()
    number = os.dup(theirs.fileno())
    theirs.close()
    monkeypatch.setenv(SUCCESSION, str(number))
    yield ours
    ours.close()


@contextmanager
def listening(port: int = 0, kind: int = socket.SOCK_STREAM, listens: bool = True) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM and listens:
            sock.listen()
        yield sock


def hand(channel: Channel, estate: Estate) -> None:
    for kind, fds, fields in _frames(estate):
        channel.send(kind, fds, **fields)


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def test_nobody_went_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SUCCESSION, raising=False)
    assert receive() is None


@pytest.mark.parametrize("value", ["", "x", "-1", "99999"])
def test_a_variable_that_names_no_channel(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SUCCESSION, value)
    with pytest.raises(InheritError, match="names no channel"):
        receive()
    assert SUCCESSION not in os.environ


def test_all_of_it_comes_and_nothing_of_it_goes_on_to_other_programs(old: Channel) -> None:
    with listening() as first, listening() as second:
        rows = {("l", 1, 0): first, ("l", 1, 1): second}
        hand(old, Estate({"pid": 7}, {"page": first.fileno()}, rows, [["g", "127.0.0.1", 80, 2, 1]]))
        heir = receive()
        assert heir is not None
        assert (heir.pid, heir.facts["health"]) == (7, [["g", "127.0.0.1", 80, 2, 1]])
        assert {key: inode(sock) for key, sock in heir.rows.items()} == {k: inode(s) for k, s in rows.items()}
        for descriptor in (
            heir.channel.fileno(),
            *heir.descriptors.values(),
            *map(socket.socket.fileno, heir.rows.values()),
        ):
            assert not os.get_inheritable(descriptor)
        heir.close()
    assert SUCCESSION not in os.environ


def test_a_channel_with_a_number_beyond_1023(old: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    number = fcntl.fcntl(int(os.environ[SUCCESSION]), fcntl.F_DUPFD, 1100)
    os.close(int(os.environ[SUCCESSION]))
    monkeypatch.setenv(SUCCESSION, str(number))
    hand(old, Estate({"pid": 7}))
    heir = receive()
    assert heir is not None
    heir.close()


def test_the_health_of_all_servers_that_there_can_be(old: Channel) -> None:
    health = [["a-server-group-of-many", "2001:db8::ffff:ffff", number, 2, 1] for number in range(20_000)]
    hand(old, Estate({"pid": 7}, health=health))

    def flush() -> None:
        while old.pending:
            old.flush()
            time.sleep(0.001)

    rest = threading.Thread(target=flush)  # of what the kernel did not take at once
    rest.start()
    heir = receive()
    rest.join()
    assert heir is not None
    assert heir.facts["health"] == health
    heir.close()


@pytest.mark.parametrize("frames", range(3))
def test_an_end_before_the_end_leaves_nothing_open(old: Channel, frames: int) -> None:
    with listening() as sock:
        parts = list(_frames(Estate({"pid": 7}, {"page": sock.fileno()}, {("l", 1, 0): sock})))
        for kind, fds, fields in parts[:frames]:
            old.send(kind, fds, **fields)
        old.close()
        with pytest.raises(InheritError, match=r"the heritage did not come: the other end .* is closed"):
            receive()


@pytest.mark.parametrize("kind", ["abort", "stop", "released"])
def test_what_is_no_heritage_is_refused(old: Channel, kind: str) -> None:
    old.send(kind)
    with pytest.raises(InheritError):
        receive()


def test_silence_is_not_waited_for_for_ever(old: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inherit, "PATIENCE", 0.05)
    with pytest.raises(InheritError, match="not complete"):
        receive()


@pytest.mark.parametrize("rows", [[["l", 1]], [["l", "1", 0]], [["l", 1, True]], ["l"], [[None, 1, 0]]])
def test_a_row_is_a_listener_a_port_and_a_number(rows: list[object]) -> None:
    ours, theirs = channel_pair()
    with listening() as sock, suppress(ChannelError), pytest.raises(ValueError, match="rows"):
        ours.send("rows", [sock.fileno()], rows=rows)
    ours.close()
    theirs.close()


def test_who_fails_says_why(old: Channel) -> None:
    hand(old, Estate({"pid": 7}))
    heir = receive()
    assert heir is not None
    heir.failed("no")
    heir.ready([2, 3])
    heir.close()
    first, second = old.receive(), old.receive()
    assert first is not None and second is not None
    assert (first.kind, first.fields) == ("failed", {"message": "no"})
    assert second.fields == {"unserved": [2, 3]}


# What is used of it


def opened(listener: Listener, handed: socket.socket, workers: int = 1) -> tuple[SocketTable, list[int]]:
    """A table that was handed a copy of this socket for row 0, and the inodes of what serves the listener then."""
    table = SocketTable({(listener.name, listener.port, 0): handed.dup()})
    table.adopt(table.open_rows([listener], workers))
    return table, [inode(table.row(index)[listener.name, listener.port]) for index in range(workers)]


def test_a_socket_that_fits_is_used_and_rows_that_lack_one_are_opened() -> None:
    with listening() as sock:
        table, inodes = opened(Listener("l", TCP, "127.0.0.1", sock.getsockname()[1], "g"), sock, workers=2)
        assert inodes[0] == inode(sock)
        assert inodes[1] != inode(sock)
        table.disown()
        table.close_all()


@pytest.mark.parametrize(
    "unfit",
    [
        lambda port: listening(free_port()),
        lambda port: listening(port, listens=False),
        lambda port: listening(port, socket.SOCK_DGRAM),
    ],
    ids=["another port", "not listening", "not TCP"],
)
def test_a_socket_that_does_not_fit_is_not_used(unfit: Callable[[int], object]) -> None:
    port = free_port()
    with unfit(port) as sock:  # type: ignore[attr-defined]
        table, inodes = opened(Listener("l", TCP, "127.0.0.1", port, "g"), sock)
        assert inodes != [inode(sock)]
        table.disown()
        table.close_all()


def test_what_has_no_use_is_closed_and_what_was_opened_before_a_failure_too() -> None:
    with listening() as sock, listening() as other:
        port = sock.getsockname()[1]
        table = SocketTable({("l", port, 0): sock.dup(), ("gone", 1, 0): other.dup()})
        staged = table.open_rows([Listener("l", TCP, "127.0.0.1", port, "g")], 1)
        staged.close()
        table.disown()
        table.close_all()


def test_as_many_rows_as_there_can_be_fit_an_answer(old: Channel) -> None:
    hand(old, Estate({"pid": 7}))
    heir = receive()
    assert heir is not None
    heir.ready(list(range(1024)))
    heir.close()
    said = old.receive()
    assert said is not None and said.kind == "ready"


def test_a_predecessor_that_is_gone_is_told_nothing() -> None:
    ours, theirs = channel_pair()
    ours.close()
    heir = Predecessor(theirs)
    heir.failed("x")
    heir.ready([])
    heir.close()
