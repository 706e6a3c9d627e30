"""Connections to servers from the client's own address, over loopback: which port, and what cannot be had.

The whole of 127.0.0.0/8 is this machine's, so nothing here needs a privilege; tests/process has real networks.
"""

import socket

import pytest
from support.procs import free_port
from support.proxy_header import SIGNATURE
from support.rig import echo, receive_all

from fastnlb.board import Board

CLIENT = "127.0.0.5"
TRUSTED = (None, [(bytes(10) + b"\xff\xff\x7f\x00\x00\x00", 104)])
PRESERVE = {"preserve": True}


def say_peer(sock):
    sock.sendall(repr(sock.getpeername()[:2]).encode())


@pytest.fixture
def board():
    return Board.create(workers=1)


@pytest.fixture
def server(backend):
    return backend(say_peer).address


def connect(one, reuse=True, source=(CLIENT, 0)):
    """A client whose port others may have too, towards other servers: as when it is on another machine."""
    sock = socket.socket()
    one.adopt(sock)  # before it may be reset
    if reuse:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(source)
    sock.settimeout(10)
    sock.connect(one.address)
    return sock


def peer(sock):
    return receive_all(sock).decode()


def test_the_server_sees_the_address_and_the_port(rig, server):
    one = rig([server], group=PRESERVE)
    for _ in range(3):
        client = connect(one)
        assert peer(client) == repr(client.getsockname())
    assert one.counters()["preserve_other_port"] == one.counters()["connects_failed"] == 0


def test_without_it_the_server_sees_this_machine(rig, server):
    one = rig([server])
    assert CLIENT not in peer(connect(one))


def test_a_port_that_is_taken_is_replaced_by_another_of_the_same_address(rig, server):
    one = rig([server], group=PRESERVE)
    client = connect(one, reuse=False)
    seen = peer(client)
    assert seen.startswith(f"('{CLIENT}', ")
    assert seen != repr(client.getsockname())
    assert one.counters()["preserve_other_port"] == 1
    assert one.counters()["connects_failed"] == 0


def test_one_port_towards_two_listeners_is_the_same_pair_of_ends_twice(rig, backend):
    """The second connection to the server would be the first one over again."""
    one = rig([backend(lambda sock: (say_peer(sock), echo(sock))).address], group=PRESERVE, limits=((0, 0), (0, 0)))
    first = connect(one)
    assert first.recv(100).decode() == repr(first.getsockname())
    second = socket.socket()
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    second.bind(first.getsockname())
    second.settimeout(10)
    second.connect(one.addresses[1])
    one.adopt(second)
    seen = second.recv(100).decode()
    assert seen.startswith(f"('{CLIENT}', ")
    assert seen != repr(first.getsockname())
    assert one.counters()["preserve_other_port"] == 1


def test_a_server_of_the_other_family_is_passed_over_and_not_blamed(board, rig, backend, server):
    other = backend(echo, host="::1").address
    one = rig([other, server], group=PRESERVE, board=(board.address(), board.places, 0))
    for _ in range(4):
        assert CLIENT in peer(connect(one))
    assert one.counters()["preserve_failed"] == one.counters()["connects_failed"] == 2
    assert board.failures(0) == 0


def test_with_none_of_the_family_the_client_is_reset(rig, backend):
    one = rig([backend(echo, host="::1").address], group=PRESERVE)
    with pytest.raises(ConnectionResetError):
        connect(one).recv(1)
    one.wait_idle()
    assert one.counters()["closed_refused"] == one.counters()["preserve_failed"] == 1


def test_a_client_that_is_to_be_its_own_server_is_not_connected_to_itself(rig, server):
    """Nobody listens there, and TCP would connect the socket to itself."""
    own = ("127.0.0.1", free_port())
    one = rig([own, server], group=PRESERVE)
    assert peer(connect(one, source=own)) == repr(own)
    assert one.counters()["connects_failed"] == 1


def test_a_server_that_refuses_is_blamed_as_ever(board, rig, server):
    one = rig([("127.0.0.1", free_port()), server], group=PRESERVE, board=(board.address(), board.places, 0))
    assert CLIENT in peer(connect(one))
    assert board.failures(0) == 1
    assert one.counters()["preserve_failed"] == 0


# --- behind another balancer ----------------------------------------------------------------------------------------


def header4(address, port):
    return (
        SIGNATURE + b"\x21\x11\x00\x0c" + socket.inet_aton(address) + bytes(4) + port.to_bytes(2, "big") + b"\x00\x50"
    )


def header6(address, port):
    return (
        SIGNATURE
        + b"\x21\x21\x00\x24"
        + socket.inet_pton(socket.AF_INET6, address)
        + bytes(16)
        + (port.to_bytes(2, "big") + b"\x00\x50")
    )


@pytest.mark.parametrize("header", [header4("127.0.0.9", 5555), header6("::ffff:127.0.0.9", 5555)])
def test_the_address_is_the_one_that_an_accepted_header_says(rig, server, header):
    one = rig([server], group=PRESERVE, proxy=TRUSTED)
    client = connect(one)
    client.sendall(header)
    assert peer(client) == "('127.0.0.9', 5555)"


def test_a_header_that_says_nothing_leaves_the_address_of_the_socket(rig, server):
    one = rig([server], group=PRESERVE, proxy=TRUSTED)
    client = connect(one)
    client.sendall(SIGNATURE + b"\x20\x00\x00\x00")
    assert peer(client) == repr(client.getsockname())


@pytest.mark.parametrize(
    "header",
    [
        header4("224.0.0.1", 5555),
        header4("0.0.0.0", 5555),  # noqa: S104 - said, not bound to
        header6("::ffff:0.0.0.0", 5555),
        header6("ff02::1", 5555),
        header6("2001:db8::1", 1),
    ],
)
def test_what_is_nobodys_address_or_of_the_other_family_is_refused(rig, server, header):
    one = rig([server], group=PRESERVE, proxy=TRUSTED)
    client = connect(one)
    client.sendall(header)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert one.counters()["preserve_failed"] == 1


def test_the_address_of_all_interfaces_is_nobodys_either_for_a_server_of_ipv6(rig, backend):
    one = rig([backend(say_peer, host="::1").address], group=PRESERVE, proxy=TRUSTED)
    client = connect(one)
    client.sendall(header6("::", 5555))
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert one.counters()["preserve_failed"] == 1
