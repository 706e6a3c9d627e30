"""What a limit of connections per second let in, judged only where it was the limit that decided.

A busy machine lets clients come late, and what nobody asks for within the burst is nobody's later.  Whoever is
refused finds nothing left over; so between two refusals that are no further apart than the burst, exactly the rate
was let in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from support.procs import wait_for

BURST = 0.05  # seconds by which a connection may come early (limit.pyx)


@dataclass
class Attempts:
    """When clients were let in, and when they were refused, in seconds of the monotonic clock."""

    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def note(self, admitted: bool) -> None:
        """What became of a client just now."""
        (self.admitted if admitted else self.refused).append(time.monotonic())

    def pressed(self, since: float) -> list[tuple[float, float]]:
        """The spans, from `since` on, in which there were always more clients than the limit lets in."""
        spans: list[tuple[float, float]] = []
        for before, after in pairwise(sorted(when for when in list(self.refused) if when >= since)):
            if after - before > BURST:
                continue
            begin = spans.pop()[0] if spans and spans[-1][1] == before else before
            spans.append((begin, after))
        return spans

    def wait_pressed(self, since: float, seconds: float) -> None:
        """Return when the limit has decided for so long in all; for clients that come from other threads."""
        wait_for(lambda: length(self.pressed(since)) >= seconds, f"{seconds} s of more clients than the limit", 60)

    def assert_rate(self, rate: float, since: float) -> None:
        """AssertionError when what was let in under pressure is not `rate` per second within 2%."""
        spans = self.pressed(since)
        assert spans, f"the limit of {rate} a second never decided"
        let_in = sum(begin <= when < end for when in list(self.admitted) for begin, end in spans)
        due = rate * length(spans)
        # At either end of a span a client may have heard later than another what the worker decided before.
        slack = 0.02 * due + len(spans) * (BURST * rate + 2)
        assert abs(let_in - due) <= slack, f"{let_in} let in in place of {due:.0f}, at {rate} a second"


def length(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds, in all of them together."""
    return sum(end - begin for begin, end in spans)
