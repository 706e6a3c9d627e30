"""When a dead worker's heir is forked: at once, unless the seat is in a crash loop.

Pure bookkeeping; time comes in as seconds.  A worker that died young, or never served, makes its seat wait
0.1 s, then 0.2, 0.4 ... up to 1: until the heir is there, the clients the kernel gave to its sockets wait.  Ten
seconds of service clear the record.
"""

from __future__ import annotations

from collections import Counter

YOUNG = 1.0
PROVEN = 10.0
FIRST_DELAY = 0.1
LONGEST_DELAY = 1.0


class RespawnPolicy:
    """Counts the early deaths of each seat."""

    def __init__(self) -> None:
        self._early_deaths: Counter[int] = Counter()

    def delay(self, index: int, lived: float, served: float | None) -> float:
        """Seconds until seat `index` is filled again; its worker lived and served (None: never) so long."""
        if served is not None and served >= PROVEN:
            self._early_deaths[index] = 0
        if served is not None and lived >= YOUNG:
            return 0.0
        self._early_deaths[index] += 1
        # The exponent is bounded too: a loop may run for weeks, and 2.0 ** 1100 overflows.
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._early_deaths[index] - 1, 10))

    def early_deaths(self, index: int) -> int:
        """How often in a row the seat's worker died early."""
        return self._early_deaths[index]
