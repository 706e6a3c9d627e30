"""What the control process itself counts: reloads, probes of servers, requests.

Plain ints in one thread.  They begin at zero with the process, whose start they come with; what has to outlive it is
counted in shared memory (fastnlb.stats).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from fastnlb.board import Reason

APPLIED = "applied"
REFUSED = "refused"
RELOAD_RESULTS = (APPLIED, REFUSED)


class Figures:
    """One for the process: whoever does something tells it, the metrics read it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.started = clock()
        """Unix time."""
        self.reloads: dict[str, int] = dict.fromkeys(RELOAD_RESULTS, 0)
        self.reloaded_at: dict[str, float] = {}
        """Unix time of the last one of each result."""
        self.last_reload = APPLIED
        self.probes: dict[str, int] = {reason.name.lower(): 0 for reason in Reason}
        self.requests: Counter[tuple[str, ...]] = Counter()
        """By route, method and status."""

    def reloaded(self, accepted: bool) -> None:
        """A reload has ended, by which something was changed or not, or was refused."""
        self.last_reload = APPLIED if accepted else REFUSED
        self.reloads[self.last_reload] += 1
        self.reloaded_at[self.last_reload] = self._clock()

    def probed(self, verdict: Reason) -> None:
        """A probe of a server has ended; NONE: the server is well."""
        self.probes[verdict.name.lower()] += 1

    def answered(self, route: str, method: str, status: int) -> None:
        """A request was answered.

        `route` is the template of its path, as `/api/v1/listeners/{name}`, and one word for all paths that there are
        not: the number of routes must not depend on what clients ask for.
        """
        self.requests[route, method, str(status)] += 1
