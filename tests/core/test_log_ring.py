"""The ring of the access log against a list of lines: they stay whole and in order, across its end and when full."""

import threading
import time

from fastnlb._core._testing_log import LINE_MOST, RingProbe
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = 16384


def line(length, number):
    return (b"%d " % number).ljust(length - 1, b"x") + b"\n"


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.booleans(), st.integers(8, LINE_MOST)), max_size=200))
def test_the_ring_agrees_with_a_list(steps):
    ring, model = RingProbe(SIZE), []
    for number, (puts, length) in enumerate(steps):
        if puts:
            one = line(length, number)
            fits = sum(map(len, model)) <= SIZE - LINE_MOST
            assert ring.put(one) == fits
            if fits:
                model.append(one)
        else:
            room = max(length, LINE_MOST)
            expected = []
            while model and sum(map(len, expected)) + len(model[0]) <= room:
                expected.append(model.pop(0))
            assert ring.take(room) == b"".join(expected)
        assert ring.held == sum(map(len, model))


def test_a_line_may_reach_over_the_end():
    ring = RingProbe(SIZE)
    for number in range(1000):
        one = line(3001, number)
        assert ring.put(one)
        assert ring.take(LINE_MOST) == one


def test_a_full_ring_takes_no_part_of_a_line():
    ring = RingProbe(SIZE)
    taken = 0
    while ring.put(line(1000, taken)):
        taken += 1
    assert taken == (SIZE - LINE_MOST) // 1000 + 1
    assert ring.take(SIZE) == b"".join(line(1000, number) for number in range(taken))
    assert ring.take(SIZE) == b""
    assert ring.put(line(1000, 0))


def test_two_threads_lose_nothing():
    ring, lines = RingProbe(SIZE), [line(8 + number % 3000, number) for number in range(20_000)]

    def produce():
        for one in lines:
            while not ring.put(one):
                time.sleep(0)  # the other's turn: Python would give it after 5 ms

    producer = threading.Thread(target=produce)
    producer.start()
    got = bytearray()
    total = sum(map(len, lines))
    while len(got) < total:
        taken = ring.take(LINE_MOST)
        got += taken
        if not taken:
            time.sleep(0)
    producer.join(20)
    assert bytes(got) == b"".join(lines)
