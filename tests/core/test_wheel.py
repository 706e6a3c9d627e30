"""The timer wheel against a plain model: a dict of due times."""

from fastnlb._core._testing import WheelProbe
from hypothesis import given, settings
from hypothesis import strategies as st

TICK = 64


def test_fires_neither_early_nor_more_than_two_ticks_late():
    for delay in (1, 63, 64, 65, 1000, 4095, 4096, 4097, 262_143, 262_144, 900_000, 20_000_000):
        wheel = WheelProbe(1, now_ms=1_000_003)
        due = 1_000_003 + delay
        wheel.arm(0, due)
        assert wheel.fire(due - TICK) == [] or delay < TICK
        assert wheel.fire(due + 2 * TICK) == [0]
        assert wheel.armed == 0


def test_a_cancelled_timer_does_not_fire_and_may_be_cancelled_again():
    wheel = WheelProbe(2)
    wheel.arm(0, 500)
    wheel.arm(1, 500)
    wheel.cancel(0)
    wheel.cancel(0)
    assert wheel.fire(10_000) == [1]


def test_arming_again_moves_a_timer():
    wheel = WheelProbe(1)
    wheel.arm(0, 500)
    wheel.arm(0, 50_000)
    assert wheel.fire(40_000) == []
    assert wheel.fire(50_200) == [0]


def test_an_empty_wheel_asks_for_no_wake_up():
    wheel = WheelProbe(1)
    assert wheel.wait(0) == -1
    wheel.arm(0, 900_000)
    wheel.cancel(0)
    assert wheel.wait(0) == -1


def test_a_long_timer_costs_a_handful_of_wake_ups():
    wheel = WheelProbe(1)
    wheel.arm(0, 900_000)
    now, wakes = 0, 0
    while not wheel.fire(now):
        now += max(wheel.wait(now), 1)
        wakes += 1
    assert 900_000 <= now <= 900_000 + 2 * TICK
    assert wakes <= 4


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 7), st.integers(0, 40_000_000)),
        st.tuples(st.just("cancel"), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("pass"), st.just(0), st.integers(0, 3_000_000)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(start=st.integers(0, 1 << 40), steps=steps)
def test_agrees_with_a_dict_of_due_times(start, steps):
    wheel, now, due = WheelProbe(8, now_ms=start), start, {}
    for action, number, value in steps:
        if action == "arm":
            wheel.arm(number, now + value)
            due[number] = now + value
        elif action == "cancel":
            wheel.cancel(number)
            due.pop(number, None)
        else:
            now += value
            fired = wheel.fire(now)
            assert all(due[one] <= now for one in fired), "fired early"
            late = [one for one, at in due.items() if at + 2 * TICK <= now and one not in fired]
            assert not late, "fired late"
            for one in fired:
                del due[one]
        assert wheel.armed == len(due)
        wait = wheel.wait(now)
        assert (wait == -1) == (not due)
        if due:
            assert wait <= max(min(due.values()) - now, 0) + 2 * TICK, "would oversleep"
