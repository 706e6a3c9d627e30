"""The number of workers: what is refused, what waits, and what is given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from fastnlb.master.crew import Crew
from fastnlb.master.listen import CannotListen
from fastnlb.master.process import State, Worker
from fastnlb.master.respawn import RespawnPolicy

PLACES = 4


def worker(index: int, state: State = State.SERVING) -> Worker:
    return Worker(100 + index, index, f"worker {index}", None, 0.0, index, state=state)  # type: ignore[arg-type]


@dataclass
class FakeFleet:
    workers: dict[int, Worker]
    leaving: list[Worker] = field(default_factory=list)
    policy: RespawnPolicy = field(default_factory=RespawnPolicy)
    dismissed: bool = False
    said: list[str] = field(default_factory=list)
    seats: int = 0

    @property
    def rows_taken(self) -> int:
        return self.seats + len(self.leaving)

    def open_seat(self, index: int) -> None:
        assert index == self.seats
        self.workers[index] = worker(index, State.BOOTING)
        self.seats += 1

    def close_seat(self, index: int, kind: str, _within: float, **_fields: Any) -> None:
        self.seats -= 1
        self.said.append(f"{kind} {index}")
        self.leaving.append(self.workers.pop(index))


@dataclass
class FakeRollout:
    seats: int
    changing: bool = False
    in_force: tuple[int, int] = (1, 3)
    rows_used: int = 2
    error: Exception | None = None

    def admit(self, admitted: Worker) -> None:
        if self.error is not None:
            raise self.error
        assert admitted.index == self.seats
        self.seats += 1
        admitted.state = State.SERVING

    def retire(self, index: int) -> int:
        self.seats -= 1
        assert index == self.seats
        return 2


class Stage:
    def __init__(self, count: int) -> None:
        self.fleet = FakeFleet({index: worker(index) for index in range(count)}, seats=count)
        self.rollout = FakeRollout(count)
        self.cleared: list[int] = []
        self.crew = Crew(
            self.fleet,  # type: ignore[arg-type]
            self.rollout,  # type: ignore[arg-type]
            places=PLACES,
            shutdown_timeout=5,
            clear_row=self.cleared.append,
        )

    def set(self, count: int) -> None:
        self.crew.set(count)
        self.crew.reconcile()

    def booted(self, *indexes: int) -> None:
        for index in indexes:
            self.fleet.workers[index].booted = True
        self.crew.reconcile()


def test_seats_are_filled_in_their_order() -> None:
    stage = Stage(1)
    stage.set(3)
    assert stage.fleet.seats == 3
    stage.booted(2)
    assert stage.rollout.seats == 1
    stage.booted(1)
    assert stage.rollout.seats == 3


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (0, "there is at least one; still 2"),
        (5, "a daemon that was started with fewer takes 4 at most; restart it for more; still 2"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(count: int, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(2)
    stage.set(count)
    assert caplog.messages == [f"workers: 2 -> {count}: {reason}"]
    assert stage.crew.wanted == stage.fleet.seats == 2


def test_too_few_descriptors_for_the_sockets(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(2)
    stage.rollout.rows_used = 10**9
    stage.set(3)
    assert "the limit of " in caplog.messages[0]
    assert stage.fleet.seats == 2


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), CannotListen("l", "::", 1, "odd")])
def test_sockets_that_cannot_be_opened_leave_the_old_number(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(2)
    stage.rollout.error = error
    stage.set(4)
    stage.booted(2, 3)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"there cannot be 4 workers, still 2: {error}"
    ]
    assert stage.fleet.said == ["stop 3", "stop 2"]
    stage.crew.reconcile()
    assert (stage.fleet.seats, stage.crew.wanted) == (2, 2)


def test_a_place_that_is_not_free_is_waited_for() -> None:
    stage = Stage(4)
    stage.set(2)
    assert stage.fleet.said == ["retire 3", "retire 2"]
    stage.set(4)
    assert stage.fleet.seats == 2
    gone = stage.fleet.leaving.pop()
    gone.retired = True
    stage.crew.gone(gone)
    stage.crew.reconcile()
    assert stage.fleet.seats == 3
    assert stage.cleared == [gone.row]


def test_the_heir_of_one_with_a_seat_clears_for_itself() -> None:
    stage = Stage(2)
    stage.crew.gone(stage.fleet.workers[1])
    assert stage.cleared == []


@pytest.mark.parametrize("state", [State.BOOTING, State.PREPARING])
def test_one_that_has_a_queue_and_does_not_serve_is_waited_for(state: State) -> None:
    stage = Stage(2)
    stage.fleet.workers[1].state = state
    stage.set(1)
    assert stage.fleet.said == []
    stage.fleet.workers[1].state = State.SERVING
    stage.crew.reconcile()
    assert stage.fleet.said == ["retire 1"]


def test_one_that_never_will_is_not() -> None:
    stage = Stage(2)
    stage.fleet.workers[1].state = State.BOOTING
    for _ in range(3):
        stage.fleet.policy.delay(1, 0.0, None)
    stage.set(1)
    assert stage.fleet.said == ["retire 1"]


def test_nothing_is_done_during_a_change() -> None:
    stage = Stage(2)
    stage.rollout.changing = True
    stage.set(1)
    assert stage.fleet.said == []
    stage.rollout.changing = False
    stage.crew.reconcile()
    assert stage.fleet.said == ["retire 1"]


def test_nothing_is_wanted_at_the_end() -> None:
    stage = Stage(2)
    stage.fleet.dismissed = True
    stage.set(3)
    assert stage.crew.wanted == 2
