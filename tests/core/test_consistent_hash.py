"""Consistent hashing over 10,000 sources: who moves when a server comes, goes, fails or changes its weight."""

import socket
import struct

import pytest
from fastnlb._core._testing_pick import PickProbe, address_key

from fastnlb._core.buckets import bucket_table
from fastnlb.board import Board, Health
from fastnlb.model import Server
from fastnlb.worker.orders import SCHEDULERS, Orders

SOURCES = 10_000
BOARD = Board.create(workers=1)


def v4(address, port=0):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)


def v6(address, port=0):
    head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0)
    return head + socket.inet_pton(socket.AF_INET6, address) + bytes(4)


KEYS = [address_key([v4(f"10.1.{n // 256}.{n % 256}")], False) for n in range(SOURCES)]


def choices(servers):
    """The server of each source; servers are (port, weight)."""
    made = tuple(Server("127.0.0.1", port, weight) for port, weight in servers)
    fields = [(*each, cell) for cell, each in enumerate((each.address, each.port, each.weight) for each in made)]
    one = PickProbe(
        (SCHEDULERS["sch"], fields, Orders().of("sch", made), -1, False), (BOARD.address(), BOARD.places, 0)
    )
    return [made[one.pick(key)[0]].port for key in KEYS]


def moved(before, after):
    return [(a, b) for a, b in zip(before, after, strict=True) if a != b]


TEN = [(port, 10 + port) for port in range(1, 11)]


def test_a_server_that_goes_takes_only_its_own_clients_along():
    before = choices(TEN)
    assert all(old == 4 for old, _ in moved(before, choices([each for each in TEN if each[0] != 4])))


def test_a_server_that_comes_takes_no_more_than_its_share():
    came = (11, 15)
    change = moved(choices(TEN), choices([*TEN, came]))
    share = SOURCES * came[1] / sum(weight for _, weight in [*TEN, came])
    assert all(new == 11 for _, new in change)
    assert len(change) == pytest.approx(share, abs=5 * share**0.5)


def test_the_order_of_the_servers_means_nothing():
    assert choices(TEN) == choices(TEN[::-1]) == choices(TEN[5:] + TEN[:5])


def test_a_larger_weight_only_attracts():
    assert all(new == 3 for _, new in moved(choices(TEN), choices([(p, 50 if p == 3 else w) for p, w in TEN])))


def test_the_clients_of_an_unhealthy_server_alone_move_and_to_all_others():
    before = choices(TEN)
    BOARD.set_health(3, Health.UNHEALTHY)
    change = moved(before, choices(TEN))
    BOARD.set_health(3, Health.HEALTHY)
    assert len(change) == before.count(4)
    assert {old for old, _ in change} == {4}
    assert {new for _, new in change} == set(range(1, 11)) - {4}
    assert choices(TEN) == before


def test_restarts_agree():
    """The key is part of the format: an upgrade with another one would move every client."""
    assert address_key([v4("192.0.2.1")], False) == 0x6D5D97E5A0546C26
    table = bucket_table([(b"192.0.2.1 80", 1), (b"192.0.2.2 80", 3)])
    assert struct.unpack_from("=16I", table) == (1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0)


def test_an_ipv4_source_is_the_same_on_both_kinds_of_socket():
    assert address_key([v4("192.0.2.1")], False) == address_key([v6("::ffff:192.0.2.1")], False)
    assert address_key([v4("192.0.2.1")], False) != address_key([v4("192.0.2.2")], False)


def test_ports_count_only_where_they_are_to():
    one, other = v4("192.0.2.1", 1000), v4("192.0.2.1", 1001)
    own, another = v6("2001:db8::1", 443), v6("2001:db8::1", 8443)
    assert address_key([one], False) == address_key([other], False)
    keys = {address_key([source, end], True) for source in (one, other) for end in (own, another)}
    assert len(keys) == 4
    assert address_key([one, own], True) != address_key([own, one], True)


def test_buckets_need_servers_with_weights():
    for servers in ([], [(b"a", 0)]):
        with pytest.raises(ValueError, match="buckets need"):
            bucket_table(servers)
