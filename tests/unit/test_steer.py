"""Ranges of ports steered to one socket by the kernel, each test in a network namespace of its own."""

from __future__ import annotations

import codecs
import errno
import functools
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from support.own_network import (
    CAP_BPF,
    CAP_NET_ADMIN,
    become_nobody_with,
    drop_privileges,
    in_child,
    leave_network,
    may_steer,
)
from support.procs import descriptors, wait_for

from fastnlb.hardening import protect_memory
from fastnlb.master import steer
from fastnlb.master.listen import CannotListen
from fastnlb.master.sockets import SocketTable, Staged
from fastnlb.model import Listener

FIRST, LAST = 20000, 29999
QUIET = "127.0.77.1"  # nobody else is there

obstacle = may_steer()


def own_network(test: Callable[[], None]) -> Callable[[], None]:
    @pytest.mark.skipif(bool(obstacle), reason=obstacle or "none")
    @functools.wraps(test)
    def wrapped() -> None:
        in_child(test, leave_network)

    return wrapped


def listening(address: str, port: int, *, reuse_port: bool = True) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(reuse_port))
    sock.bind((address, port))
    sock.listen(1000)
    sock.setblocking(False)
    return sock


def arrivals(sock: socket.socket) -> list[tuple[str, int]]:
    """The addresses that the clients in its queue came to; they are closed."""
    found = []
    with suppress(BlockingIOError):
        while True:
            accepted, _ = sock.accept()
            found.append(accepted.getsockname()[:2])
            accepted.close()
    return found


def call(address: str, port: int) -> None:
    socket.create_connection((address, port), timeout=5).close()


def refused(address: str, port: int) -> bool:
    try:
        call(address, port)
    except ConnectionRefusedError:
        return True
    return False


def range_listener(name: str = "r", address: str = "0.0.0.0", first: int = FIRST, last: int = LAST) -> Listener:  # noqa: S104
    return Listener(name, "TCP", address, first, "g", last_port=last)


@contextmanager
def table_with(*listeners: Listener, count: int = 2) -> Iterator[SocketTable]:
    table = SocketTable()
    table.adopt(table.open_rows(listeners, count))
    try:
        yield table
    finally:
        table.close_all()


# The program


def test_the_program_is_what_the_kernel_reads() -> None:
    code = steer.assemble(steer.instructions("0.0.0.0", 1000, 2000, 7))  # noqa: S104
    assert len(code) % 8 == 0
    each = [struct.unpack("=BBhI", code[at : at + 8]) for at in range(0, len(code), 8)]
    assert each[-2:] == [(0xB7, 0, 0, 1), (0x95, 0, 0, 0)], "r0 = SK_PASS; exit"
    jumps = {
        (at, at + 1 + offset) for at, (opcode, _, offset, _) in enumerate(each) if opcode & 0x07 in (5, 6) and offset
    }
    assert {target for _, target in jumps} == {len(each) - 2}
    assert (0x18, 0x11, 0, 7) in each


def test_a_single_address_is_compared_word_by_word() -> None:
    anywhere = steer.instructions("::", 1000, 2000, 7)
    assert len(steer.instructions("0.0.0.0", 1000, 2000, 7)) == len(anywhere)  # noqa: S104
    assert len(steer.instructions("10.0.0.1", 1000, 2000, 7)) == len(anywhere) + 2
    assert len(steer.instructions("2001:db8::1", 1000, 2000, 7)) == len(anywhere) + 8


def test_an_unknown_machine_has_no_call_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steer, "_BPF_CALL", {})
    with socket.socket() as sock, pytest.raises(OSError, match="not implemented") as caught:
        steer.Steering("127.0.0.1", 1000, 2000, sock)
    assert caught.value.errno == errno.ENOSYS


# Steering


@own_network
def test_nothing_changes_before_it_is_aimed_or_after_it_is_closed() -> None:
    before = descriptors(os.getpid())
    with listening("0.0.0.0", FIRST) as sock:  # noqa: S104
        one = steer.Steering("0.0.0.0", FIRST, LAST, sock)  # noqa: S104
        assert all(os.get_inheritable(fd) is False for fd in descriptors(os.getpid()).keys() - before.keys())
        assert refused("127.0.0.1", LAST)
        assert not refused("127.0.0.1", FIRST)
        one.aim()
        for port in (FIRST, 25000, LAST):
            call("127.0.0.1", port)
        call("127.0.0.77", 25001)
        assert refused("127.0.0.1", LAST + 1)
        assert refused("127.0.0.1", FIRST - 1)
        one.close()
        one.close()
        assert refused("127.0.0.1", LAST)
        assert [port for _, port in arrivals(sock)] == [FIRST, FIRST, 25000, LAST, 25001]
    assert descriptors(os.getpid()) == before


@own_network
def test_a_single_address_is_the_only_one() -> None:
    for address, other in (("127.0.0.5", "127.0.0.1"), ("::1", "127.0.0.1")):
        with listening(address, FIRST) as sock:
            one = steer.Steering(address, FIRST, LAST, sock)
            one.aim()
            call(address, LAST)
            assert refused(other, LAST)
            one.close()
            assert arrivals(sock) == [(address, LAST)]


@own_network
def test_the_address_of_all_interfaces_is_of_one_family() -> None:
    with listening("::", FIRST) as sock:
        one = steer.Steering("::", FIRST, LAST, sock)
        one.aim()
        call("::1", LAST)
        assert refused("127.0.0.1", LAST)
        one.close()


@own_network
def test_the_link_goes_with_the_last_copy_of_its_descriptor() -> None:
    with listening("127.0.0.1", FIRST) as sock:
        one = steer.Steering("127.0.0.1", FIRST, LAST, sock)
        one.aim()

        def child() -> None:
            one.close()
            call("127.0.0.1", LAST)  # what a child closes is its own

        in_child(child)
        call("127.0.0.1", LAST)
        one.close()
        assert refused("127.0.0.1", LAST)


@own_network
def test_running_connections_are_left_alone() -> None:
    with listening("127.0.0.1", FIRST) as sock, listening("127.0.0.1", 21000) as other:
        client = socket.create_connection(("127.0.0.1", 21000))
        other.setblocking(True)
        accepted, _ = other.accept()
        one = steer.Steering("127.0.0.1", FIRST, LAST, sock)
        one.aim()
        client.sendall(b"still here")
        assert accepted.recv(100) == b"still here"
        one.close()
        accepted.sendall(b"and here")
        assert client.recv(100) == b"and here"
        client.close()
        accepted.close()


@own_network
def test_two_privileges_are_enough_for_a_process_that_keeps_its_memory_to_itself() -> None:
    for name in ("ascii", "idna"):  # nobody may be unable to read where Python keeps them
        codecs.lookup(name)
    become_nobody_with(CAP_NET_ADMIN, CAP_BPF)
    protect_memory()
    with table_with(range_listener()) as table:
        assert table.row(0).keys() == {("r", FIRST)}
        call("127.0.0.1", LAST)


# The table of sockets


@own_network
def test_ten_thousand_ports_take_as_many_sockets_as_one() -> None:
    with table_with(range_listener(), count=3) as table:
        rows = [table.row(index) for index in range(3)]
        assert [list(row) for row in rows] == [[("r", FIRST)]] * 3
        held = [name for name in descriptors(os.getpid()).values() if name.startswith("socket:")]
        assert len(held) == 3
        for number in range(300):
            call("127.0.0.1", FIRST + 33 * number)
        came = [arrivals(sock) for row in rows for sock in row.values()]
        assert sum(map(len, came)) == 300
        assert min(map(len, came)) > 50, "the kernel spreads them over the workers"
    assert refused("127.0.0.1", LAST)


@own_network
def test_a_rollback_leaves_nothing_and_disturbs_nobody() -> None:
    before = descriptors(os.getpid())
    table = SocketTable()
    staged = table.open_rows([range_listener()], 2)
    assert refused("127.0.0.1", LAST)
    staged.close()
    assert descriptors(os.getpid()) == before
    assert refused("127.0.0.1", FIRST)


@own_network
def test_all_or_nothing_with_a_range_too() -> None:
    with listening("127.0.0.1", 443, reuse_port=False):
        before = descriptors(os.getpid())
        table = SocketTable()
        with pytest.raises(CannotListen, match=r"127\.0\.0\.1:443"):
            table.open_rows([range_listener(), Listener("l", "TCP", "127.0.0.1", 443, "g")], 2)
        assert descriptors(os.getpid()) == before
        assert refused("127.0.0.1", FIRST)


@own_network
def test_a_range_that_grows_keeps_its_sockets_and_takes_over_at_the_commit() -> None:
    with table_with(range_listener(last=20010)) as table:
        old = table.row(0)
        staged = table.open_rows([range_listener(first=19990, last=20020)], 2)
        assert staged.fresh == []
        assert table.next_row(0, staged, ["r"]) == old
        assert refused("127.0.0.1", 20020)
        staged.close()
        call("127.0.0.1", 20010)
        staged = table.open_rows([range_listener(first=19990, last=20020)], 2)
        table.adopt(staged, ["r"])
        assert table.row(0) == old
        for port in (19990, FIRST, 20020):
            call("127.0.0.1", port)
        assert sum(len(arrivals(sock)) for index in (0, 1) for sock in table.row(index).values()) == 4


@own_network
def test_a_range_elsewhere_has_new_sockets_and_the_old_ones_go_when_nobody_uses_them() -> None:
    with table_with(range_listener(last=20010)) as table:
        (old,) = table.row(0).values()
        table.adopt(table.open_rows([range_listener(first=20005, last=20020)], 2), ["r"])
        assert list(table.row(0)) == [("r", 20005)]
        assert old.fileno() >= 0
        table.close_retired()
        assert refused("127.0.0.1", FIRST)
        call("127.0.0.1", 20020)
        table.adopt(Staged(), ["r"])
        assert refused("127.0.0.1", 20020), "steering ends with the decision"
        table.close_retired()
        assert refused("127.0.0.1", 20005)


@own_network
def test_a_range_that_moves_to_one_of_its_addresses_takes_over_at_the_commit() -> None:
    with table_with(range_listener()) as table:
        held = [table.row(index)["r", FIRST] for index in (0, 1)]
        staged = table.open_rows([replace(range_listener(), address="127.0.0.1")], 2)
        for port in (FIRST, LAST):
            call("127.0.0.1", port)
        assert sum(len(arrivals(sock)) for sock in held) == 2
        table.adopt(staged, ["r"])
        for port in (FIRST, LAST):
            call("127.0.0.1", port)
        assert sum(len(arrivals(sock)) for index in (0, 1) for sock in table.row(index).values()) == 2


@own_network
def test_one_port_becomes_a_range_and_a_range_one_port() -> None:
    single = Listener("r", "TCP", "0.0.0.0", FIRST, "g")  # noqa: S104
    with table_with(single) as table:
        before = table.row(0)
        table.adopt(table.open_rows([range_listener()], 2), ["r"])
        assert table.row(0) == before
        call("127.0.0.1", LAST)
        table.adopt(table.open_rows([Listener("r", "TCP", "0.0.0.0", 20500, "g")], 2), ["r"])  # noqa: S104
        table.close_retired()
        assert list(table.row(0)) == [("r", 20500)]
        call("127.0.0.1", 20500)
        assert refused("127.0.0.1", LAST)


@own_network
def test_another_listener_on_the_way_out_is_no_conflict_and_shares_nothing() -> None:
    gone = Listener("gone", "TCP", "127.0.0.1", FIRST, "g")
    with table_with(gone) as table:
        staged = table.open_rows([range_listener(address="127.0.0.1")], 2)
        assert [key[:2] for key in staged.rows] == [("r", FIRST + 1)] * 2, "not in the group of the one that goes"
        table.adopt(staged, ["gone"])
        table.close_retired()
        call("127.0.0.1", FIRST)
        assert table.row(0).keys() == {("r", FIRST + 1)}


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::"])  # noqa: S104
@pytest.mark.skipif(bool(obstacle), reason=obstacle or "none")
def test_another_program_in_the_range_is_named_and_not_overridden(address: str) -> None:
    def block() -> None:
        other = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((address, 25000))  # an IPv6 socket takes IPv4 as well unless told otherwise
        other.listen()
        with pytest.raises(CannotListen) as caught:
            SocketTable().open_rows([range_listener(address="127.0.0.1")], 2)
        assert str(caught.value) == "listener r: cannot listen on 127.0.0.1:25000: address already in use"
        call("127.0.0.1", 25000)
        other.close()

    in_child(block, leave_network)


@own_network
def test_other_programs_beside_the_range_and_on_their_way_out_are_not_in_the_way() -> None:
    others = [listening("127.0.0.2", 25000), listening("::", 25001), listening("127.0.0.1", LAST + 1)]
    client = socket.create_connection(("127.0.0.2", 25000))  # from a port that may be in the range
    bound = socket.socket()
    bound.bind(("127.0.0.1", 25002))
    bound.connect(("127.0.0.2", 25000))
    with table_with(range_listener(address="127.0.0.1")) as table:
        call("127.0.0.1", 25000)
        assert sum(len(arrivals(sock)) for sock in [*table.row(0).values(), *table.row(1).values()]) == 1
    for sock in (*others, client, bound):
        sock.close()


# Without


@own_network
def test_without_the_privilege_each_port_has_a_socket_of_its_own() -> None:
    drop_privileges()
    with table_with(range_listener(last=FIRST + 99)) as table:
        row = table.row(1)
        assert sorted(row) == [("r", port) for port in range(FIRST, FIRST + 100)]
        call("127.0.0.1", FIRST + 99)
        wait_for(lambda: sum(len(arrivals(table.row(index)["r", FIRST + 99])) for index in (0, 1)) == 1, "the client")
        staged = table.open_rows([range_listener(first=FIRST + 50, last=FIRST + 101)], 2)
        assert {key[1] for key in staged.rows} == set(range(FIRST + 50, FIRST + 102))
        assert {sock.getsockname()[1] for sock in staged.fresh} == {FIRST + 100, FIRST + 101}
        table.adopt(staged, ["r"])
        assert table.row(1)["r", FIRST + 50] is row["r", FIRST + 50]
        table.close_retired()
        assert row["r", FIRST + 50].fileno() >= 0
        assert row["r", FIRST].fileno() == -1


def test_it_is_said_why_and_how_many_sockets(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_privilege(*_: object, **__: object) -> steer.Steering:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("fastnlb.master.sockets.Steering", no_privilege)
    with table_with(range_listener(address=QUIET, last=FIRST + 9)):
        pass
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == (
        "listener r: 20 sockets, one for each port and worker: the kernel cannot be told to steer its ports to one "
        "for each worker: it takes CAP_NET_ADMIN and CAP_BPF"
    )


def test_a_limit_too_low_for_all_the_sockets_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_kernel(*_: object, **__: object) -> steer.Steering:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("fastnlb.master.sockets.Steering", no_kernel)
    monkeypatch.setattr("fastnlb.master.sockets.open_files", lambda: 1000)
    before = descriptors(os.getpid())
    with pytest.raises(CannotListen) as caught:
        SocketTable().open_rows([range_listener(address=QUIET, last=FIRST + 999)], 2)
    assert str(caught.value) == (
        "listener r: cannot listen on 127.0.77.1:20000-20999: the limit of 1000 open files is too low for a socket "
        "for each port and worker: it must be 4026 or more (ulimit -Hn, LimitNOFILE=); one for all ports cannot be "
        "had: this kernel has no sk_lookup programs (Linux 5.9)"
    )
    assert descriptors(os.getpid()) == before
