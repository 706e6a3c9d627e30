"""Which sockets of a group the kernel gives new connections, and what it does with handshakes that are under way."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

import pytest
from support.netns import needs_namespaces
from support.slow_client import SERVER, slow_client

from fastnlb.master.reuseport import Groups, Instruction, drop_new_requests, no_new_requests, one_of

MANY = 40  # connections: that one of four sockets is missed by all of them by chance is no matter


def listening(address: str, port: int = 0) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((address, port))
    sock.listen(100)
    sock.setblocking(False)
    return sock


def accepted(sock: socket.socket) -> int:
    """How many wait there; they are closed."""
    count = 0
    while True:
        try:
            sock.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


class Hall:
    """Sockets of one group, by letters in the order they were listened on."""

    def __init__(self) -> None:
        self.groups = Groups()
        self.socks: dict[str, socket.socket] = {}

    def open(self, letters: str, *, braced: bool = False) -> None:
        for letter in letters:
            if braced:
                self.groups.brace(next(iter(self.socks.values())))
            port = next((sock.getsockname()[1] for sock in self.socks.values()), 0)
            self.socks[letter] = listening("127.0.0.1", port)
            self.groups.join(self.socks[letter])

    def of(self, letters: str) -> list[socket.socket]:
        return [self.socks[letter] for letter in letters]

    def close(self, letters: str) -> None:
        self.groups.close(self.of(letters))
        for letter in letters:
            assert self.socks.pop(letter).fileno() < 0

    def reached(self) -> str:
        """The sockets that new connections go to."""
        port = next(iter(self.socks.values())).getsockname()[1]
        for _ in range(MANY):
            with socket.socket() as client:
                client.settimeout(0.02)
                if client.connect_ex(("127.0.0.1", port)) != 0:
                    break
        return "".join(letter for letter, sock in self.socks.items() if accepted(sock))


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    for sock in made.socks.values():
        sock.close()


def run(program: Sequence[Instruction], packet: bytes, number: int) -> int:
    """What a program returns; `number` is what it draws."""
    at, value = 0, 0
    while True:
        code, k, jump, other = program[at]
        at += 1
        if code == 0x20:
            value = number
        elif code == 0x30:
            value = packet[k]
        elif code == 0x54:
            value &= k
        elif code == 0x94:
            value %= k
        elif code == 0x15:
            at += jump if value == k else other
        else:
            return value if code == 0x16 else k


@pytest.mark.parametrize("indexes", [[0], [0, 1, 2], [1], [0, 1, 4], [2, 3]])
def test_each_is_drawn_as_often_as_the_others(indexes: list[int]) -> None:
    drawn = [run(one_of(indexes), b"", number) for number in range(6 * len(indexes))]
    assert {index: drawn.count(index) for index in drawn} == dict.fromkeys(indexes, 6)


@pytest.mark.parametrize(
    ("flags", "passes"), [(0x02, False), (0xC2, False), (0x12, True), (0x10, True), (0x04, True)]
)
def test_only_the_first_packet_of_a_connection_is_dropped(flags: int, passes: bool) -> None:
    assert bool(run(no_new_requests(), bytes(13) + bytes([flags]), 0)) == passes


def test_those_that_go_get_nothing_and_the_group_ends_as_it_began(hall: Hall) -> None:
    hall.open("abcd")
    hall.groups.arrange(going=hall.of("cd"))
    assert hall.reached() == "ab"
    hall.close("cd")
    assert hall.reached() == "ab"
    hall.groups.arrange(chosen=hall.of("ab"))
    assert hall.reached() == "ab"
    assert not hall.groups._programs


def test_one_that_joins_gets_nothing_before_it_is_chosen(hall: Hall) -> None:
    hall.open("ab")
    hall.open("c", braced=True)
    assert hall.reached() == "ab"
    hall.groups.arrange(waiting=hall.of("c"))
    assert hall.reached() == "ab"
    hall.groups.arrange(chosen=hall.of("c"))
    assert hall.reached() == "abc"


def test_one_that_joins_before_others_have_gone(hall: Hall) -> None:
    hall.open("abcd")
    hall.groups.arrange(going=hall.of("bc"))
    hall.open("e", braced=True)
    hall.groups.arrange(chosen=hall.of("e"))
    assert hall.reached() == "ade"
    hall.close("b")
    assert hall.reached() == "ade", "c is going still, and the last took the place of b"
    hall.close("c")
    assert hall.reached() == "ade"


def test_better_one_that_is_waited_for_than_none(hall: Hall) -> None:
    hall.open("ab")
    hall.groups.arrange(waiting=hall.of("a"))
    assert hall.reached() == "b"
    hall.groups.arrange(waiting=hall.of("b"))
    assert hall.reached() == "ab"
    hall.groups.arrange(chosen=hall.of("a"))
    assert hall.reached() == "a"


@needs_namespaces  # or the privilege is likely to be lacking
def test_a_group_that_goes_as_a_whole_gets_nothing_until_there_is_another(hall: Hall) -> None:
    hall.open("ab")
    hall.groups.arrange(going=hall.of("ab"))
    assert hall.reached() == ""
    hall.open("cd", braced=True)
    hall.groups.arrange(chosen=hall.of("cd"))
    assert hall.reached() == "cd"
    hall.close("ab")
    assert hall.reached() == "cd"


def test_what_is_queued_already_is_there_still(hall: Hall) -> None:
    hall.open("ab")
    with (
        socket.create_connection(hall.socks["a"].getsockname()),
        socket.create_connection(hall.socks["a"].getsockname()),
    ):
        hall.groups.arrange(going=hall.of("ab"))
        assert accepted(hall.socks["a"]) + accepted(hall.socks["b"]) == 2


def test_a_group_is_of_one_address(hall: Hall) -> None:
    hall.open("a")
    other = listening("127.0.0.2", hall.socks["a"].getsockname()[1])
    hall.groups.join(other)
    hall.groups.arrange(going=[other])
    assert hall.reached() == "a"
    hall.groups.close([other])


@needs_namespaces
def test_a_handshake_under_way_ends_behind_the_filter_and_none_begins() -> None:
    with slow_client(80) as client, listening(SERVER, 80) as sock:
        client.ask(1001)
        assert client.answered(1001)
        drop_new_requests(sock)
        client.ask(1002)
        assert not client.answered(1002)
        assert accepted(sock) == 0
        client.complete(1001)
        assert accepted(sock) == 1


@needs_namespaces
def test_a_handshake_under_way_ends_on_the_socket_where_it_began() -> None:
    with slow_client(80) as client, listening(SERVER, 80) as stays, listening(SERVER, 80) as goes:
        groups = Groups()
        for sock in (stays, goes):
            groups.join(sock)
        ports = range(1001, 1041)
        for port in ports:
            client.ask(port)
        assert all(map(client.answered, ports))
        groups.arrange(going=[goes])
        for port in ports:
            client.complete(port)
        began_there = accepted(goes)
        assert 0 < began_there < len(ports)
        assert accepted(stays) == len(ports) - began_there
