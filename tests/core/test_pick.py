"""Which server a connection gets: shares, order, what is passed over, and what is tried when servers fail."""

from collections import Counter

import pytest
from fastnlb._core._testing_pick import PickProbe
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rig import group_fields

from fastnlb.board import Board, Health

SCHEDULERS = ["rr", "wrr", "wlc", "sch", "tch"]
BOARD = Board.create(workers=2)
weights_of_few = st.lists(st.integers(1, 100), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def clear():
    yield
    for cell in range(400):
        BOARD.clear_server(cell)


def fields(weights, scheduler):
    return group_fields([("127.0.0.1", 1000 + at) for at in range(len(weights))], weights, scheduler)


def probe(weights, scheduler="wrr", place=0):
    return PickProbe(fields(weights, scheduler), (BOARD.address(), BOARD.places, place))


def set_unhealthy(servers, count=8):
    for cell in range(count):
        BOARD.set_health(cell, Health.UNHEALTHY if cell in servers else Health.HEALTHY)


def picks(one, count):
    """The first choices of so many clients."""
    return [one.pick(spread(number))[0] for number in range(count)]


def spread(number):
    """A client's key as the core would have made it: uniform."""
    return (number * 0x9E3779B97F4A7C15 + 1) % 2**64


def test_smooth_round_robin_goes_by_its_sequence():
    assert picks(probe([5, 1, 1]), 14) == [0, 0, 1, 0, 2, 0, 0] * 2


def test_plain_round_robin_has_no_weights():
    assert picks(probe([5, 1, 1], "rr"), 6) == [0, 1, 2, 0, 1, 2]


@settings(deadline=None, max_examples=100)
@given(weights_of_few, st.data(), st.sampled_from(SCHEDULERS))
def test_an_unhealthy_server_is_passed_over(weights, data, scheduler):
    out = data.draw(st.sets(st.integers(0, len(weights) - 1), max_size=len(weights) - 1))
    set_unhealthy(out)
    one = probe(weights, scheduler)
    assert not set(picks(one, 50)) & out
    assert one.fail_open == 0


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_with_all_unhealthy_all_are_used_and_it_is_counted(scheduler):
    set_unhealthy({0, 1, 2})
    one = probe([1, 1, 1], scheduler)
    assert set(picks(one, 60)) == {0, 1, 2}
    assert one.fail_open == 60
    set_unhealthy({0, 2})
    assert set(picks(one, 10)) == {1}, "a change is seen at once"
    assert one.fail_open == 60


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_server_of_weight_0_is_never_chosen(scheduler):
    one = probe([1, 1, 0], scheduler)
    assert {server for number in range(50) for server in one.pick(spread(number), 9)} == {0, 1}
    set_unhealthy({0, 1})
    assert {server for number in range(50) for server in one.pick(spread(number), 9)} == {0, 1}
    assert probe([0, 0], scheduler).pick() == []
    assert probe([], scheduler).pick() == []


@settings(deadline=None, max_examples=200)
@given(weights_of_few, st.data(), st.sampled_from(SCHEDULERS))
def test_each_server_is_tried_once_and_usable_ones_first(weights, data, scheduler):
    out = data.draw(st.sets(st.integers(0, len(weights) - 1)))
    set_unhealthy(out)
    tried = probe(weights, scheduler).pick(data.draw(st.integers(1, 2**64 - 1)), 300)
    assert sorted(tried) == list(range(len(weights)))
    assert [server in out for server in tried] == sorted(server in out for server in tried)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_no_connection_tries_more_servers_than_it_can_count(scheduler):
    tried = probe([1] * 300, scheduler).pick(7, 1000)
    assert len(tried) == len(set(tried)) == 255


def test_a_long_sequence_still_finds_the_one_healthy_server():
    set_unhealthy(set(range(100)) - {77}, 100)
    assert set(picks(probe([*range(1, 101)]), 20)) == {77}


# --- wlc -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=64))
def test_the_least_connections_by_weight_over_all_workers(servers):
    weights = [weight for weight, _, _ in servers]
    workers = [probe(weights, "wlc", place) for place in (0, 1)]
    for at, (_, *counts) in enumerate(servers):
        for worker, count in zip(workers, counts, strict=True):
            worker.count(at, count)
    loads = [(here + there) / weight for weight, here, there in servers]
    for worker in workers:
        (found,) = worker.pick()
        assert loads[found] == min(loads)
    for cell in range(len(servers)):
        BOARD.clear_server(cell)


def test_equal_servers_take_turns():
    assert picks(probe([3, 3, 3], "wlc"), 6) == [0, 1, 2, 0, 1, 2]


def test_connections_that_stay_settle_by_weight():
    one = probe([100, 50, 25], "wlc")
    for _ in range(175):
        one.count(one.pick()[0], 1)
    assert [BOARD.server_connections(cell) for cell in range(3)] == pytest.approx([100, 50, 25], abs=2)


def test_of_many_servers_the_best_of_a_sample_is_taken():
    one = probe([1] * 300, "wlc")
    for _ in range(3000):
        one.count(one.pick()[0], 1)
    counts = [BOARD.server_connections(cell) for cell in range(300)]
    assert min(counts) >= 8
    assert max(counts) <= 11


def test_a_server_that_cannot_be_counted_makes_it_round_robin():
    scheduler, servers, order, *rest = fields([1, 1], "wlc")
    servers = [(address, port, weight, -1) for address, port, weight, _ in servers]
    one = PickProbe((scheduler, servers, order, *rest), (BOARD.address(), BOARD.places, 0))
    assert picks(one, 4) == [0, 1, 0, 1]


# --- shares ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(weights_of_few, st.sampled_from(["sch", "tch"]))
def test_hashed_clients_are_shared_by_weight(weights, scheduler):
    counts = Counter(picks(probe(weights, scheduler), 10_000))
    for at, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(counts[at] - 10_000 * share) <= 5 * (10_000 * share * (1 - share)) ** 0.5 + 5
