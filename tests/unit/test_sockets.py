"""The listening sockets: options, groups, refusals, and which change opens and closes what."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.procs import descriptors, free_port, listening_inodes

from fastnlb.master.listen import CannotListen, try_options
from fastnlb.master.sockets import SocketTable, Staged, plan_sockets
from fastnlb.model import Listener, Snapshot


@pytest.fixture
def table() -> Iterator[SocketTable]:
    made = SocketTable()
    yield made
    made.close_all()


def listener(name: str = "https", address: str = "127.0.0.1", port: int = 0) -> Listener:
    return Listener(name, "TCP", address, port or free_port(address), "g")


def only(table: SocketTable) -> socket.socket:
    """The one socket of the first worker."""
    (sock,) = table.row(0).values()
    return sock


def other_program(address: str, *options: int, listen: bool = True) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    for option in options:
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    sock.bind((address, 0))
    if listen:
        sock.listen()
    return sock


def has_ipv6() -> bool:
    try:
        free_port("::1")
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def test_every_worker_gets_a_socket_of_every_listener(table: SocketTable) -> None:
    one, two = listener("one"), listener("two")
    table.adopt(table.open_rows([one, two], 3))
    rows = [table.row(index) for index in range(3)]
    for row in rows:
        assert {key: sock.getsockname()[1] for key, sock in row.items()} == {
            (each.name, each.port): each.port for each in (one, two)
        }
    assert len({sock.fileno() for row in rows for sock in row.values()}) == 6
    assert len(listening_inodes(one.port)) == 3
    assert table.row(3) == {}


def test_the_sockets_are_as_the_data_plane_wants_them(table: SocketTable) -> None:
    each = listener()
    (sock,) = table.open_rows([each], 1).rows.values()
    with ExitStack() as stack:
        stack.enter_context(sock)
        assert not sock.getblocking()
        assert not os.get_inheritable(sock.fileno())
        client = stack.enter_context(socket.create_connection(("127.0.0.1", each.port)))
        client.settimeout(5)
        accepted, _ = sock.accept()
        stack.enter_context(accepted)
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "not inherited"


def accepted_from(sock: socket.socket, stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    """A client's socket and the one it was accepted on."""
    client = stack.enter_context(socket.create_connection(sock.getsockname(), timeout=5))
    sock.settimeout(5)
    return client, stack.enter_context(sock.accept()[0])


def segment_size(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def test_the_segment_size_is_what_clients_are_told_and_changes_on_open_sockets(table: SocketTable) -> None:
    each = replace(listener(), mss=600)
    table.adopt(table.open_rows([each], 1))
    with ExitStack() as stack:
        for mss in (600, 1400, 0):
            table.tune(replace(each, mss=mss))
            client, accepted = accepted_from(only(table), stack)
            for sock in (client, accepted):
                assert mss - 40 <= segment_size(sock) <= mss if mss else segment_size(sock) > 1500


@pytest.mark.parametrize("mss", [1, 87])
def test_a_segment_size_the_kernel_refuses_is_named_with_its_listener(table: SocketTable, mss: int) -> None:
    each = replace(listener(), mss=mss)
    complaint = f"listener https: cannot listen on 127.0.0.1:{each.port}: the kernel does not take an mss of {mss}"
    for refused in (lambda: table.open_rows([each], 2), lambda: try_options(each)):
        with pytest.raises(CannotListen) as caught:
            refused()
        assert str(caught.value) == complaint
    try_options(replace(each, mss=0))
    assert not listening_inodes(each.port)


@needs_ipv6
def test_ipv6_leaves_ipv4_alone(table: SocketTable) -> None:
    with other_program("0.0.0.0") as other:  # noqa: S104 - the very conflict under test
        each = listener(address="::", port=other.getsockname()[1])
        staged = table.open_rows([each], 2)
    assert all(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) for sock in staged.rows.values())
    staged.close()


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)])
def test_an_address_of_another_program_is_refused_even_if_it_would_share(
    table: SocketTable, options: tuple[int, ...]
) -> None:
    with other_program("127.0.0.1", *options) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            table.open_rows([listener(port=port)], 2)
    assert str(caught.value) == f"listener https: cannot listen on 127.0.0.1:{port}: address already in use"


def test_nobody_keeps_us_from_a_port_by_the_name_of_its_lock(
    table: SocketTable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fastnlb.master.listen.LOCK_PATIENCE", 0.05)
    each = listener()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
        held.bind(f"\0fastnlb-opens-port-{each.port}")
        table.adopt(table.open_rows([each], 2))
    assert len(listening_inodes(each.port)) == 2
    assert f"'fastnlb-opens-port-{each.port}': another process holds it" in caplog.text


def test_connections_of_a_predecessor_are_not_in_the_way(table: SocketTable) -> None:
    with other_program("127.0.0.1", socket.SO_REUSEADDR, socket.SO_REUSEPORT) as before:
        port = before.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        draining, waiting = (before.accept()[0] for _ in clients)
    waiting.close()  # our side first: TIME_WAIT stays on this port
    clients[1].close()
    staged = table.open_rows([listener(port=port)], 2)
    staged.close()
    for sock in (draining, clients[0]):
        sock.close()


def test_all_or_nothing(table: SocketTable) -> None:
    free = listener("free")
    with other_program("127.0.0.1") as other:
        taken = listener("taken", port=other.getsockname()[1])
        before = descriptors(os.getpid())
        with pytest.raises(CannotListen, match="listener taken"):
            table.open_rows([free, taken], 2)
        assert descriptors(os.getpid()) == before
    assert not listening_inodes(free.port)
    assert table.row(0) == {}


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:8443: this address is not on this machine"):
        SocketTable().open_rows([listener(address="192.0.2.1", port=8443)], 1)


def test_the_message_has_ipv6_addresses_in_brackets() -> None:
    assert str(CannotListen("x", "2001:db8::1", 443, "why")) == "listener x: cannot listen on [2001:db8::1]:443: why"


def test_a_privileged_port_says_what_it_needs() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest < 2:
        pytest.skip("this machine gives every port to everyone")
    answer, ours = os.pipe()
    pid = os.fork()
    if pid == 0:  # as nobody, who may not
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            SocketTable().open_rows([listener(port=lowest - 1)], 1)
        except BaseException as error:
            os.write(ours, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(ours)
    with os.fdopen(answer) as file:
        text = file.read()
    os.waitpid(pid, 0)
    assert text.startswith("CannotListen: ")
    assert "permission denied" in text
    assert "root or CAP_NET_BIND_SERVICE" in text


def test_an_address_we_hold_ourselves_is_no_conflict(table: SocketTable) -> None:
    wide = listener("wide", "0.0.0.0")  # noqa: S104 - the very overlap under test
    table.adopt(table.open_rows([wide], 1))
    table.open_rows([listener("same", wide.address, wide.port)], 1).close()
    table.open_rows([listener("narrow", "127.0.0.1", wide.port)], 1).close()


def test_who_moves_to_one_address_of_a_listener_on_all_gets_nothing_before_the_decision(table: SocketTable) -> None:
    wide = listener("one", "0.0.0.0")  # noqa: S104 - the very overlap under test
    narrow = replace(wide, address="127.0.0.1")
    table.adopt(table.open_rows([wide], 2))
    for decided in (False, True):
        held = list(table.row(0).values()) + list(table.row(1).values())
        staged = table.open_rows([narrow], 2)
        with socket.create_connection(("127.0.0.1", wide.port), timeout=5):
            assert accepted(held) == 1
        if not decided:
            staged.close()
            continue
        table.adopt(staged, ["one"])
        with socket.create_connection(("127.0.0.1", wide.port), timeout=5):
            assert accepted(held) == 0
            assert accepted([*table.row(0).values(), *table.row(1).values()]) == 1


def accepted(socks: list[socket.socket]) -> int:
    """How many connections wait on them; they are taken."""
    taken = 0
    for sock in socks:
        with suppress(BlockingIOError):
            sock.accept()[0].close()
            taken += 1
    return taken


def test_a_removed_listener_stays_open_until_nobody_uses_it(table: SocketTable) -> None:
    each = listener()
    table.adopt(table.open_rows([each], 2))
    table.adopt(Staged(), closes=["https"])
    assert table.row(0) == {}
    assert len(listening_inodes(each.port)) == 2
    table.close_retired()
    assert not listening_inodes(each.port)


def test_a_moved_listener_is_served_on_its_new_address(table: SocketTable) -> None:
    old = listener()
    new = listener()
    table.adopt(table.open_rows([old], 1))
    table.adopt(table.open_rows([new], 1), closes=["https"])
    assert only(table).getsockname()[1] == new.port
    table.close_retired()
    assert not listening_inodes(old.port)
    assert listening_inodes(new.port)


def test_the_plan_of_a_change() -> None:
    kept, moved, gone, stopped, new = (
        listener(name, port=1000) for name in ("kept", "moved", "gone", "stopped", "new")
    )
    old_state = Snapshot(listeners=(kept, moved, gone, stopped))
    now_moved = replace(moved, port=1001)
    new_state = Snapshot(
        listeners=(replace(kept, idle_timeout=5), now_moved, replace(stopped, enabled=False), new),
    )
    assert plan_sockets(old_state, new_state).tunes == ()
    now_smaller = replace(kept, mss=1400)
    new_state = replace(new_state, listeners=(now_smaller, replace(now_moved, mss=1400), *new_state.listeners[2:]))
    plan = plan_sockets(old_state, new_state)
    assert plan.tunes == (now_smaller,)
    now_moved = new_state.listeners[1]
    assert plan.opens == (now_moved, new)
    assert sorted(plan.closes) == ["gone", "moved", "stopped"]
    assert plan_sockets(old_state, old_state) == plan_sockets(Snapshot(), Snapshot())
    assert plan_sockets(Snapshot(), old_state).opens == old_state.listeners
