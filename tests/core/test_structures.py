"""Pools, slab and queue: everything lent comes back, slots tell their tenants apart, order is kept."""

import os
import resource
from collections import deque
from pathlib import Path

from fastnlb._core._testing import (
    LOOK_MS,
    ORDINARY_BYTES,
    RETRY_MS,
    SPARE_PIPES,
    PipesProbe,
    PoolProbe,
    QueueProbe,
    share_of_a_turn,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_buffer_used_last_is_lent_next():
    pool = PoolProbe()
    first, second = pool.lend(), pool.lend()
    pool.give_back(first)
    pool.give_back(second)
    assert pool.lend() == second


def test_a_burst_of_buffers_does_not_stay_allocated():
    pool = PoolProbe(keep=10)
    loans = [pool.lend() for _ in range(110)]
    assert pool.made == pool.lent == len(loans)
    for loan in loans:
        pool.give_back(loan)
    assert (pool.made, pool.lent) == (10, 0)


def test_there_are_no_more_buffers_than_allowed():
    pool = PoolProbe(most=3, keep=1)
    loans = [pool.lend() for _ in range(3)]
    assert pool.lend() is None
    pool.give_back(loans.pop())
    assert pool.lend() is not None
    assert (pool.made, pool.lent) == (3, 3)


def test_relays_share_a_turn_and_each_has_something_of_it():
    shares = [share_of_a_turn(relays) for relays in range(2000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == shares[1] == 1 << 19
    assert shares[-1] == ORDINARY_BYTES
    assert all(relays * share <= 32 << 20 for relays, share in enumerate(shares) if share > ORDINARY_BYTES)


def test_the_pipe_used_last_is_lent_next_and_is_a_pipe():
    pipes = PipesProbe()
    first, second = pipes.lend(10), pipes.lend(10)
    pipes.give_back(first)
    pipes.give_back(second)
    assert pipes.lend(10) == second
    source, sink = pipes.ends(second)
    os.write(sink, b"through")
    assert os.read(source, 100) == b"through"


def test_there_are_no_more_pipes_than_allowed():
    pipes = PipesProbe()
    loans = [pipes.lend(3) for _ in range(3)]
    assert pipes.lend(3) is None
    pipes.give_back(loans[0])
    assert pipes.lend(0) == loans[0], "one that is there already may be used"
    assert (pipes.made, pipes.lent) == (3, 3)


def test_a_pipe_that_is_not_empty_is_closed():
    pipes = PipesProbe()
    ends = pipes.ends(loan := pipes.lend(1))
    pipes.give_back(loan, held=1)
    assert (pipes.made, pipes.lent) == (0, 0)
    assert not any(Path(f"/proc/self/fd/{end}").exists() for end in ends)


def test_pipes_that_nobody_needed_between_two_looks_are_closed():
    pipes = PipesProbe()
    loans = [pipes.lend(100) for _ in range(5)]
    for loan in loans:
        pipes.give_back(loan)
    pipes.look(1)
    assert pipes.made == 5, "all were needed since the look before"
    pipes.give_back(pipes.lend(100))
    pipes.look(LOOK_MS)
    assert pipes.made == 5, "too early"
    pipes.look(1 + LOOK_MS)
    assert pipes.made == 1
    pipes.look(1 + 2 * LOOK_MS)
    assert pipes.made == 0


def test_a_burst_of_pipes_does_not_stay_open():
    pipes = PipesProbe()
    for loan in [pipes.lend(1000) for _ in range(SPARE_PIPES + 20)]:
        pipes.give_back(loan)
    assert pipes.made == SPARE_PIPES
    pipes.clear()
    assert pipes.made == 0


def test_a_system_that_has_no_pipe_left_is_not_asked_again_at_once():
    pipes = PipesProbe()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert pipes.lend(10, now_ms=5) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert pipes.lend(10, now_ms=4 + RETRY_MS) is None
    assert pipes.lend(10, now_ms=5 + RETRY_MS) is not None


def test_a_slot_changes_its_generation_with_its_tenant():
    queue = QueueProbe()
    slot, generation = queue.take()
    queue.give(slot)
    assert queue.take() == (slot, generation + 1)


def test_slots_stay_apart_across_chunks():
    queue = QueueProbe()
    taken = [queue.take()[0] for _ in range(1000)]
    assert len(set(taken)) == 1000
    assert queue.live == 1000


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["push", "pop", "pop_last", "remove"]), st.integers(0, 9)), max_size=80))
def test_a_queue_agrees_with_a_deque(steps):
    queue, model = QueueProbe(), deque()
    slots = [queue.take()[0] for _ in range(10)]
    for action, number in steps:
        slot = slots[number]
        if action == "push":
            queue.push(slot)
            if slot not in model:
                model.append(slot)
        elif action == "pop":
            assert queue.pop() == (model.popleft() if model else None)
        elif action == "pop_last":
            assert queue.pop_last() == (model.pop() if model else None)
        elif slot in model:
            queue.remove(slot)
            model.remove(slot)
        assert queue.length == len(model)
