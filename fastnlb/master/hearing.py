"""What workers say, and how they end: for the rollout and the crew, and during a start for whoever started us."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from fastnlb.channel import Frame
from fastnlb.master.crew import Crew
from fastnlb.master.exits import EXIT_CANNOT_START, EXIT_REFUSED
from fastnlb.master.fleet import Fleet
from fastnlb.master.process import WORKER_REFUSED, Worker, describe_exit
from fastnlb.master.rollout import Rollout
from fastnlb.master.steward import LEVELS

START_ATTEMPTS = 5  # early deaths of one seat before the first `ready`; afterwards there is no limit

log = logging.getLogger("fastnlb.master")


class Hearing:
    """`fail` ends a start with an exit code and one line."""

    def __init__(
        self, *, starting: Callable[[], bool], ending: Callable[[], bool], fail: Callable[[int, str], None]
    ) -> None:
        self._starting = starting
        self._ending = ending
        self._fail = fail
        self._last_words: dict[int, str] = {}

    def serve(self, fleet: Fleet, rollout: Rollout, crew: Crew) -> None:
        """Whose workers they are; before the first of them."""
        self._fleet, self._rollout, self._crew = fleet, rollout, crew

    def on_frame(self, worker: Worker, frame: Frame) -> None:
        frame.close()  # no worker has a descriptor that the master wants
        if frame.kind == "notice":
            self._on_notice(worker, frame.fields["level"], frame.fields["message"])
        elif frame.kind == "parted":
            self._rollout.parted(worker, frame.fields["generation"])
        elif not self._ending() and not worker.retired:  # else it crossed our `drain` or `stop`
            self._on_answer(worker, frame.kind, frame.fields)

    def _on_answer(self, worker: Worker, kind: str, fields: dict[str, Any]) -> None:
        match kind:
            case "refused":
                self._last_words[worker.pid] = fields["message"]
                self._rollout.refused(worker, fields["generation"], fields["message"])
            case "booted":
                self._rollout.booted(worker)
            case "prepared":
                self._rollout.prepared(worker, fields["generation"])
            case "applied":
                self._rollout.applied(worker, fields["generation"])
            case "drained":
                log.info("worker %d drains on its own", worker.index)
            case _:
                self._fleet.kill(worker, f"sent a {kind} frame, which is not for it to send")

    def _on_notice(self, worker: Worker, level: str, message: str) -> None:
        if level == "error":
            self._last_words[worker.pid] = message
        log.log(LEVELS.get(level, logging.WARNING), "worker %d: %s", worker.index, message)

    def on_gone(self, worker: Worker, status: int) -> None:
        self._crew.gone(worker)
        reason = self._last_words.pop(worker.pid, "") or describe_exit(status)
        if self._starting():
            if os.waitstatus_to_exitcode(status) == WORKER_REFUSED:
                self._fail(EXIT_REFUSED, f"worker {worker.index} cannot start: {reason}")
            elif self._fleet.policy.early_deaths(worker.index) >= START_ATTEMPTS:
                died = f"worker {worker.index} died {START_ATTEMPTS} times before it could serve"
                self._fail(EXIT_REFUSED, f"{died}: {reason}")
        if not self._ending():
            self._rollout.gone(worker)

    def on_unfilled(self, index: int, error: OSError) -> None:
        """A seat could not be forked for; while the daemon serves, it is tried for as long as it takes."""
        if self._starting() and self._fleet.policy.early_deaths(index) >= START_ATTEMPTS:
            self._fail(EXIT_CANNOT_START, f"cannot fork worker {index}: {error.strerror or error}")
