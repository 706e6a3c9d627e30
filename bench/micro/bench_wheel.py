"""Timers: arming one again and again as traffic does, and firing those that are due."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastnlb._core._testing import WheelProbe

COUNT = 1000
IDLE_MS = 60_000


@pytest.mark.parametrize("timers", [1, 10_000])
def bench_arm_again(many: Callable[[Callable[[], object], int], None], timers: int) -> None:
    probe = WheelProbe(timers)
    for number in range(timers):
        probe.arm(number, IDLE_MS)

    def arm() -> None:
        for number in range(COUNT):
            probe.arm(number % timers, IDLE_MS + number)

    many(arm, COUNT)


def bench_fire(many: Callable[[Callable[[], object], int], None]) -> None:
    probe = WheelProbe(COUNT)
    now = 0

    def round_of_fire() -> None:
        nonlocal now
        for number in range(COUNT):
            probe.arm(number, now + 1 + number % 100)
        now += 200
        if len(probe.fire(now)) != COUNT:
            raise AssertionError("a timer that was due did not fire")

    many(round_of_fire, COUNT)
