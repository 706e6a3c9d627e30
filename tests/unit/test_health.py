"""Health checks with a clock of the test's own: what is probed when, and what becomes of the verdicts."""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterator

import pytest

from fastnlb.board import Board, Health, Reason
from fastnlb.control.health import LOOK_SECONDS, MOST_PROBES, SHORTAGE_SECONDS, TICK, Checks
from fastnlb.control.probe import Phase, Shortage
from fastnlb.control.standing import Standing
from fastnlb.model import Cells, HealthCheck, Offer, Server, ServerGroup, Snapshot

pytestmark = pytest.mark.usefixtures("lines")

CHECK = HealthCheck(interval=10, connect_timeout=4)
GOOD, REFUSED = Reason.NONE, Reason.CONNECT_FAILED
OK, BAD, NEW = (Health.HEALTHY, GOOD), (Health.UNHEALTHY, REFUSED), (Health.INITIAL, GOOD)


class FakeProbe:
    """A probe that waits for the test to end it: by a verdict, or by a byte that makes its socket ready."""

    def __init__(self, stage: Stage, address: str, port: int) -> None:
        self.stage, self.address, self.port = stage, address, port
        self.phase, self.events = Phase.CONNECTING, selectors.EVENT_READ
        self.verdict: Reason | None = None
        self.ends: tuple[int, int] | None = None

    def begin(self) -> Reason | None:
        if self.stage.short:
            raise Shortage("EMFILE")
        self.ends = os.pipe()
        self.stage.running.append(self)
        return self.stage.at_once

    def fileno(self) -> int:
        return self.ends[0] if self.ends else -1

    def step(self) -> Reason | None:
        assert self.ends is not None
        os.read(self.ends[0], 1)
        return self.verdict

    def overdue(self) -> Reason:
        return Reason.CONNECT_TIMEOUT if self.phase is Phase.CONNECTING else Reason.RECV_RESPONSE_TIMEOUT

    def close(self) -> None:
        for end in self.ends or ():
            os.close(end)
        self.ends = None
        if self in self.stage.running:
            self.stage.running.remove(self)

    def ready(self, verdict: Reason | None) -> None:
        assert self.ends is not None
        self.verdict = verdict
        os.write(self.ends[1], b"!")


class Stage:
    """Checks on a real board, with fake probes and a fake clock; servers are 10.0.0.1, cells are their ports."""

    def __init__(self) -> None:
        self.now, self.chance = 100.0, 0.5
        self.short, self.at_once = False, None
        self.running: list[FakeProbe] = []
        self.board = Board.create(1)
        self.selector = selectors.DefaultSelector()
        self.checks = self.fresh()

    def fresh(self) -> Checks:
        return Checks(
            self.board,
            self.selector,
            clock=lambda: self.now,
            chance=lambda: self.chance,
            make_probe=lambda _check, address, port: FakeProbe(self, address, port),
        )

    def follow(self, *ports: int, check: HealthCheck | None = CHECK) -> None:
        group = ServerGroup("web", tuple(Server("10.0.0.1", port) for port in ports), health_check=check)
        cells = Cells({("web", "10.0.0.1", port): port for port in ports})
        self.checks.follow(Offer(Snapshot(server_groups=(group,)), cells=cells))

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        for key, events in self.selector.select(0):
            key.data(events)
        self.checks.turn()

    def probe(self, verdict: Reason) -> None:
        """Until the next probe of the only server begins, and that one's end."""
        for _ in range(100):
            if self.running:
                break
            self.turn(max(0.0, self.checks.next_due() - self.now))
        (running,) = self.running
        running.ready(verdict)
        self.turn()

    def fail_in_workers(self, cell: int, count: int) -> None:
        os.pwrite(self.board.descriptor, count.to_bytes(4, "little"), cell * self.board.stride + 8)

    def close(self) -> None:
        self.checks.close()
        assert not self.running
        assert not self.selector.get_map()
        self.selector.close()
        self.board.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


# What is known of a server


@pytest.mark.parametrize(
    ("verdicts", "healths"),
    [
        ("g", "H"),
        ("bb", "IU"),
        ("bgbb", "IHHU"),
        ("gbb", "HHU"),
        ("gbgb", "HHHH"),
        ("bbgg", "IUUU"),
        ("bbggg", "IUUUH"),
        ("bbggbggg", "IUUUUUUH"),
    ],
)
def test_thresholds(verdicts: str, healths: str) -> None:
    standing = Standing(HealthCheck(healthy_threshold=3, unhealthy_threshold=2))
    seen, changes = "", 0
    for verdict in verdicts:
        changes += standing.judge(GOOD if verdict == "g" else REFUSED)
        seen += {Health.INITIAL: "I", Health.HEALTHY: "H", Health.UNHEALTHY: "U"}[standing.health]
    assert seen == healths
    assert changes == sum(a != b for a, b in zip("I" + healths, healths, strict=False))


def test_the_reason_is_that_of_the_last_probe() -> None:
    standing = Standing(CHECK)
    for verdict in (REFUSED, Reason.CONNECT_TIMEOUT):
        standing.judge(verdict)
    assert standing.reason is Reason.CONNECT_TIMEOUT
    assert not standing.judge(REFUSED)
    assert standing.reason is REFUSED
    standing.judge(GOOD)
    assert standing.reason is REFUSED, "it is not healthy yet"
    standing.judge(GOOD)
    assert standing.reason is GOOD


# The board and the log


def test_a_change_is_on_the_board_and_told_once(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.follow(80)
    seen = []
    for verdict in (GOOD, REFUSED, REFUSED, REFUSED, GOOD, GOOD, GOOD):
        stage.probe(verdict)
        seen.append(stage.board.health(80))
    assert seen == [OK, OK, BAD, BAD, BAD, OK, OK]
    assert [(record.levelname, record.getMessage()) for record in lines.records] == [
        ("WARNING", "server 10.0.0.1:80 of web is unhealthy: CONNECT_FAILED"),
        ("INFO", "server 10.0.0.1:80 of web is healthy again"),
    ]


def test_a_verdict_without_waiting_counts_as_any_other(stage: Stage) -> None:
    stage.at_once = REFUSED
    stage.follow(80)
    stage.turn(5)
    stage.turn(10)
    assert stage.board.health(80) == BAD


def test_an_heir_goes_on_with_the_states_on_the_board(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.board.set_health(80, *BAD)
    stage.board.set_health(81, *OK)
    stage.follow(80, 81)
    assert [stage.board.health(port) for port in (80, 81)] == [BAD, OK]
    stage.follow(80)
    stage.probe(GOOD)
    assert stage.board.health(80) == BAD
    stage.probe(GOOD)
    assert stage.board.health(80) == OK
    assert lines.messages == ["server 10.0.0.1:80 of web is healthy again"]


def test_verdicts_that_count_are_told(stage: Stage) -> None:
    told: list[Reason] = []
    stage.checks = Checks(
        stage.board,
        stage.selector,
        clock=lambda: stage.now,
        chance=lambda: stage.chance,
        make_probe=lambda _check, address, port: FakeProbe(stage, address, port),
        on_probed=told.append,
    )
    stage.follow(80)
    stage.probe(GOOD)
    stage.probe(REFUSED)
    stage.turn(10)
    (running,) = stage.running
    stage.checks.held_up()
    running.ready(REFUSED)
    stage.turn()
    assert told == [GOOD, REFUSED]


# Changes of what is served


def test_without_a_check_a_server_is_unavailable_and_with_one_again_initial(stage: Stage) -> None:
    stage.follow(80, check=None)
    assert stage.board.health(80) == (Health.UNAVAILABLE, GOOD)
    assert stage.checks.next_due() == float("inf")
    stage.follow(80)
    assert stage.board.health(80) == NEW
    stage.follow(80, check=None)
    assert stage.board.health(80) == (Health.UNAVAILABLE, GOOD)


def test_who_stays_keeps_state_and_schedule_and_its_running_probe(stage: Stage) -> None:
    stage.follow(80)
    stage.probe(GOOD)
    stage.probe(REFUSED)
    due = stage.checks.next_due()
    stage.follow(80, 81)
    assert (stage.board.health(80), stage.board.health(81)) == (OK, NEW)
    stage.follow(80)
    stage.turn(10)
    (running,) = stage.running
    stage.follow(80)
    assert stage.running == [running]
    running.ready(REFUSED)
    stage.turn()
    assert stage.board.health(80) == BAD
    assert due > 0


def test_who_is_gone_is_not_probed_any_more(stage: Stage) -> None:
    stage.follow(80)
    stage.turn(10)
    assert stage.running
    stage.follow()
    assert not stage.running
    stage.turn(100)
    assert not stage.running
    assert stage.checks.next_due() == float("inf")


def test_another_check_is_taken_over_at_once(stage: Stage) -> None:
    slow = HealthCheck(interval=50, connect_timeout=300)
    stage.follow(80, check=slow)
    stage.turn(50)
    assert stage.running
    stage.follow(80, check=HealthCheck(interval=2))
    assert not stage.running, "by the old rules"
    stage.turn(1)
    assert stage.running


def test_servers_without_a_cell_are_left_out(stage: Stage) -> None:
    group = ServerGroup("web", (Server("10.0.0.1", 80),), health_check=CHECK)
    stage.checks.follow(Offer(Snapshot(server_groups=(group,)), cells=Cells({("web", "10.0.0.1", 80): -1})))
    stage.turn(100)
    assert not stage.running


# Time


def test_first_probes_are_spread_over_the_interval(stage: Stage) -> None:
    begun = []
    for port in range(1, 11):
        stage.chance = port / 10 - 0.05
        stage.follow(*range(1, port + 1), check=HealthCheck(interval=10, connect_timeout=300))
    for _ in range(10):
        stage.turn(1)
        begun.append(len(stage.running))
    assert begun == list(range(1, 11))


@pytest.mark.parametrize(("chance", "after"), [(0.0, 9), (0.5, 10), (1.0, 11)])
def test_the_interval_is_from_start_to_start_give_or_take_a_tenth(stage: Stage, chance: float, after: float) -> None:
    stage.follow(80)
    stage.chance = chance
    stage.turn(5)
    stage.running[0].ready(GOOD)
    stage.turn(3)
    stage.turn(after - 3 - 0.01)
    assert not stage.running
    stage.turn(0.01 + TICK)
    assert stage.running


def test_each_phase_has_its_own_time(stage: Stage) -> None:
    stage.follow(80)
    stage.turn(5)
    (running,) = stage.running
    stage.turn(3.9)
    running.ready(None)
    running.phase = Phase.CONNECTING
    running.step = lambda: os.read(running.fileno(), 1) and setattr(running, "phase", Phase.RECEIVING)  # type: ignore[method-assign]
    stage.turn()
    stage.turn(3.9)
    assert stage.running == [running]
    stage.turn(0.2)
    assert not stage.running
    stage.now += 10
    stage.turn()
    stage.turn(4.1)
    assert stage.board.health(80) == (Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)


def test_what_came_in_time_is_not_timed_out_by_a_late_look(stage: Stage) -> None:
    stage.follow(80)
    stage.turn(5)
    stage.running[0].ready(GOOD)
    stage.turn(60)
    assert stage.board.health(80) == OK


def test_a_probe_that_ends_badly_after_we_were_late_is_made_again(stage: Stage) -> None:
    stage.follow(80)
    stage.probe(GOOD)
    for late in (Reason.CONNECT_INTERRUPT, None):
        stage.turn(max(0.0, stage.checks.next_due() - stage.now))
        while not stage.running:
            stage.turn(1)
        (first,) = stage.running
        stage.checks.held_up()
        if late is not None:
            first.ready(late)
            stage.turn()
        else:
            stage.turn(60)
        stage.turn()
        (second,) = stage.running
        assert second is not first
        second.ready(REFUSED)
        stage.turn()
    assert stage.board.health(80) == BAD, "two that count, and two that do not"


# Bounds


def test_so_many_run_at_one_time_and_the_rest_wait(stage: Stage) -> None:
    stage.chance = 0.0
    count = min(MOST_PROBES, 1000) + 5
    stage.follow(*range(1, count + 1))
    stage.turn()
    assert len(stage.running) == MOST_PROBES
    for probe in stage.running[:3]:
        probe.ready(GOOD)
    stage.turn()
    assert len(stage.running) == MOST_PROBES
    stage.follow(*range(1, MOST_PROBES - 99))
    assert len(stage.running) <= MOST_PROBES - 100


def test_a_shortage_of_ours_is_no_fault_of_the_servers(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.follow(80)
    stage.short = True
    stage.turn(5)
    for _ in range(10):
        stage.turn(SHORTAGE_SECONDS)
    assert stage.board.health(80) == NEW
    assert lines.messages == ["no health check can be made now (EMFILE), the states stay"]
    stage.short = False
    stage.turn(SHORTAGE_SECONDS)
    assert stage.running


# What workers find


def test_a_server_that_workers_cannot_reach_is_probed_at_once(stage: Stage) -> None:
    stage.follow(80)
    stage.probe(GOOD)
    stage.fail_in_workers(80, 1)
    stage.turn(LOOK_SECONDS)
    assert not stage.running, "one is too few"
    stage.fail_in_workers(80, 2)
    stage.turn(LOOK_SECONDS)
    stage.probe(GOOD)
    stage.turn(LOOK_SECONDS)
    assert not stage.running, "for what is known already"
    stage.fail_in_workers(80, 0)
    stage.turn(LOOK_SECONDS)
    stage.fail_in_workers(80, 2)
    stage.turn(LOOK_SECONDS)
    assert stage.running


def test_an_unhealthy_server_is_not_hurried(stage: Stage) -> None:
    stage.follow(80)
    stage.probe(REFUSED)
    stage.probe(REFUSED)
    stage.fail_in_workers(80, 50)
    stage.turn(LOOK_SECONDS)
    assert not stage.running
