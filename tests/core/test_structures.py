"""Pool, slab and queue: everything lent comes back, slots tell their tenants apart, order is kept."""

from collections import deque

from fastnlb._core._testing import POOL_SPARE_BUFFERS, PoolProbe, QueueProbe
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_buffer_used_last_is_lent_next():
    pool = PoolProbe()
    first, second = pool.lend(), pool.lend()
    pool.give_back(first)
    pool.give_back(second)
    assert pool.lend() == second


def test_a_burst_of_buffers_does_not_stay_allocated():
    pool = PoolProbe()
    loans = [pool.lend() for _ in range(POOL_SPARE_BUFFERS + 100)]
    assert pool.made == pool.lent == len(loans)
    for loan in loans:
        pool.give_back(loan)
    assert (pool.made, pool.lent) == (POOL_SPARE_BUFFERS, 0)


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
@given(st.lists(st.tuples(st.sampled_from(["push", "pop", "remove"]), st.integers(0, 9)), max_size=80))
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
        elif slot in model:
            queue.remove(slot)
            model.remove(slot)
        assert queue.length == len(model)
