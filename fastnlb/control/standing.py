"""What is known of one server: its health, and the probes in a row that may change it.

    INITIAL    -> HEALTHY      one good probe: nothing was held against it
    INITIAL    -> UNHEALTHY    `unhealthy_threshold` bad probes in a row
    HEALTHY    -> UNHEALTHY    likewise
    UNHEALTHY  -> HEALTHY      `healthy_threshold` good probes in a row

The reason of an unhealthy server is that of its last probe.  Begins with what the shared board says, so that a new
control process changes nothing by being new.
"""

from __future__ import annotations

from fastnlb.board import Health, Reason
from fastnlb.model import HealthCheck


class Standing:
    """Of one server, under one health check."""

    def __init__(self, check: HealthCheck, health: Health = Health.INITIAL, reason: Reason = Reason.NONE) -> None:
        self._check = check
        self.health: Health = Health.INITIAL if health is Health.UNAVAILABLE else health
        self.reason = reason if self.health is Health.UNHEALTHY else Reason.NONE
        self._row = 0  # probes in a row that speak against `health`

    def judge(self, verdict: Reason) -> bool:
        """Takes note of a probe; whether the health is another now."""
        good = verdict is Reason.NONE
        well = self.health is not Health.UNHEALTHY
        if not well and not good:
            self.reason = verdict
        if good is well:
            self._row = 0
            return self.health is Health.INITIAL and self._turn(Health.HEALTHY, verdict)
        self._row += 1
        if self._row < (self._check.healthy_threshold if good else self._check.unhealthy_threshold):
            return False
        return self._turn(Health.HEALTHY if good else Health.UNHEALTHY, verdict)

    def _turn(self, health: Health, reason: Reason) -> bool:
        self.health, self.reason, self._row = health, reason, 0
        return True
