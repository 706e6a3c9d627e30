"""The two-phase change of what all workers serve, as pure logic: events in, actions out.

    PREPARING ---- all prepared ---> COMMITTING ---- all applied ---> DONE
        |
        +---- one refused, or all are gone ---> ROLLED_BACK

Participants are worker indices.  One that dies is dropped: before the commit its heir starts with the state
that holds then, after the commit with the new one; neither fails the change.  Once COMMITTING nothing can:
a worker said `prepared` only when a commit cannot fail.  Events that come too late, or from a stranger, are
ignored.  Starting the daemon is the change from the empty Snapshot.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from fastnlb.master.sockets import Staged
from fastnlb.model import Snapshot


class Phase(enum.Enum):
    PREPARING = "preparing"
    COMMITTING = "committing"
    DONE = "done"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class SendCommit:
    """The decision has fallen: the new Snapshot is the truth from here on."""

    to: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendRollback:
    """To every participant left, the one that refused included: it holds sockets of this generation."""

    to: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Every participant serves the new Snapshot."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The old Snapshot stays."""

    message: str


Action = SendCommit | SendRollback | Done | Failed


class Change:
    """One change.  Every `on_` method returns what is to be done now, in order."""

    def __init__(self, generation: int, snapshot: Snapshot, staged: Staged, participants: Iterable[int]) -> None:
        self.generation = generation
        self.snapshot = snapshot
        self.staged = staged
        self.phase = Phase.PREPARING
        self.participants = set(participants)
        self._awaited = set(self.participants)

    def begin(self) -> list[Action]:
        """Call once.  Without participants there is nobody to ask: the next workers start with the new Snapshot."""
        return self._commit() if not self.participants else []

    def awaits(self, index: int) -> bool:
        """Whether the current phase waits for this worker."""
        return index in self._awaited

    def on_prepared(self, index: int) -> list[Action]:
        if self.phase is not Phase.PREPARING or not self.awaits(index):
            return []
        self._awaited.discard(index)
        return [] if self._awaited else self._commit()

    def on_refused(self, index: int, message: str) -> list[Action]:
        if self.phase is not Phase.PREPARING or index not in self.participants:
            return []
        return self._roll_back(f"worker {index}: {message}")

    def on_applied(self, index: int) -> list[Action]:
        if self.phase is not Phase.COMMITTING or not self.awaits(index):
            return []
        self._awaited.discard(index)
        return self._finish_if_all()

    def on_gone(self, index: int) -> list[Action]:
        """The worker died, and the change goes on without it."""
        if index not in self.participants:
            return []
        self.participants.discard(index)
        self._awaited.discard(index)
        if self.phase is Phase.COMMITTING:
            return self._finish_if_all()
        if self.phase is not Phase.PREPARING:
            return []
        if not self.participants:
            return self._roll_back("every worker died while preparing it")
        return [] if self._awaited else self._commit()

    def on_replaced(self, index: int) -> list[Action]:
        """The worker died and its heir takes its part: for a start, where there is no older state to serve.

        What its predecessor had prepared died with it.
        """
        if self.phase is not Phase.PREPARING:
            return self.on_gone(index)
        if index in self.participants:
            self._awaited.add(index)
        return []

    def _commit(self) -> list[Action]:
        self.phase = Phase.COMMITTING
        self._awaited = set(self.participants)
        return [SendCommit(self._everyone()), *self._finish_if_all()]

    def _finish_if_all(self) -> list[Action]:
        if self._awaited:
            return []
        self.phase = Phase.DONE
        return [Done()]

    def _roll_back(self, message: str) -> list[Action]:
        self.phase = Phase.ROLLED_BACK
        self._awaited.clear()
        return [SendRollback(self._everyone()), Failed(message)]

    def _everyone(self) -> tuple[int, ...]:
        return tuple(sorted(self.participants))
