"""Host names with a clock of the test's own: when each is looked up, and what it stands for meanwhile."""

from __future__ import annotations

import pytest

from fastnlb.control.answer import Answer, failed, found
from fastnlb.control.names import FIRST_RETRY, LONGEST_RETRY, NEVER, Names
from fastnlb.model import Host, NamedServer, Resolver, ServerGroup, Snapshot

pytestmark = pytest.mark.usefixtures("lines")

WEB = "web.test"
HERE, THERE = found(("10.0.0.1",), 60), found(("10.0.0.2",), 60)
GONE = failed("no such name (NXDOMAIN)")


def snapshot(*names: str, known: dict[str, tuple[str, ...]] | None = None, **resolver: object) -> Snapshot:
    group = ServerGroup("g", (), named_servers=tuple(NamedServer(name, 80) for name in names))
    hosts = tuple(Host(name, addresses) for name, addresses in (known or {}).items())
    return Snapshot(server_groups=(group,), hosts=hosts, resolver=Resolver(**resolver))  # type: ignore[arg-type]


class Stage:
    """Names, and whoever they ask: questions pile up until the test answers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.questions: list[tuple[str, Resolver]] = []
        self.answers: list[tuple[str, Answer]] = []
        self.names = Names(self, lambda: self.now)

    def ask(self, name: str, settings: Resolver) -> None:
        self.questions.append((name, settings))

    def take(self) -> list[tuple[str, Answer]]:
        taken, self.answers = self.answers, []
        return taken

    def asked(self) -> list[str]:
        """The names asked since the last time."""
        self.names.turn()
        names, self.questions = [name for name, _ in self.questions], []
        return names

    def answer(self, answer: Answer, name: str = WEB) -> None:
        self.answers.append((name, answer))
        self.names.turn()

    def delay(self) -> float:
        """Until the next question, to which the clock is put."""
        delay = self.names.next_due() - self.now
        self.now = self.names.next_due()
        return delay

    def round(self, answer: Answer) -> float:
        """The next question, its answer, and the delay until the one after."""
        assert self.asked() == [WEB]
        self.answer(answer)
        return self.delay()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_without_names_nothing_is_ever_due(stage: Stage) -> None:
    stage.names.follow(snapshot())
    assert stage.asked() == []
    assert stage.names.next_due() == NEVER


def test_a_name_is_asked_at_once_and_only_once_until_it_is_answered(stage: Stage) -> None:
    stage.names.follow(snapshot(WEB))
    assert stage.asked() == [WEB]
    stage.now += 1000
    assert stage.asked() == []
    assert stage.names.next_due() == NEVER


@pytest.mark.parametrize(("ttl", "delay"), [(0, 5), (4, 5), (5, 5), (42, 42), (300, 300), (86_400, 300)])
def test_an_answer_counts_for_its_ttl_within_bounds(stage: Stage, ttl: int, delay: float) -> None:
    stage.names.follow(snapshot(WEB))
    assert stage.round(found(("10.0.0.1",), ttl)) == delay
    assert stage.asked() == [WEB]


def test_the_bounds_are_settings(stage: Stage) -> None:
    stage.names.follow(snapshot(WEB, min_ttl=2, max_ttl=3))
    assert stage.round(found(("10.0.0.1",), 0)) == 2
    assert stage.round(HERE) == 3


def test_what_it_stands_for_is_replaced_and_told_as_news(stage: Stage) -> None:
    stage.names.follow(snapshot(WEB))
    stage.round(HERE)
    assert stage.names.addresses() == {WEB: ("10.0.0.1",)}
    assert stage.names.news
    stage.names.news = False
    stage.round(HERE)
    assert not stage.names.news
    stage.round(THERE)
    assert stage.names.addresses() == {WEB: ("10.0.0.2",)}
    assert stage.names.news


def test_a_failure_leaves_the_addresses_and_is_retried_ever_more_rarely(stage: Stage) -> None:
    stage.names.follow(snapshot(WEB))
    stage.round(HERE)
    stage.names.news = False
    delays = [stage.round(GONE) for _ in range(12)]
    assert delays[:6] == [FIRST_RETRY, 2, 4, 8, 16, LONGEST_RETRY]
    assert set(delays[6:]) == {LONGEST_RETRY}
    assert stage.names.addresses() == {WEB: ("10.0.0.1",)}
    assert not stage.names.news
    assert stage.round(HERE) == 60
    assert stage.round(GONE) == FIRST_RETRY, "success does not reset the back-off"


def test_each_change_of_standing_is_one_line(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.names.follow(snapshot(WEB))
    for answer in (HERE, GONE, failed("timeout"), GONE, THERE, THERE, GONE):
        stage.round(answer)
    assert lines.messages == [
        "web.test does not resolve (no such name (NXDOMAIN)): stays at 10.0.0.1",
        "web.test resolves again",
        "web.test does not resolve (no such name (NXDOMAIN)): stays at 10.0.0.2",
    ]


def test_a_new_name_that_fails_has_no_address_yet(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.names.follow(snapshot(), snapshot(WEB))
    assert not stage.names.settled(snapshot(WEB))
    stage.round(GONE)
    assert stage.names.settled(snapshot(WEB))
    assert lines.messages == ["web.test does not resolve (no such name (NXDOMAIN)): it has no address yet"]
    assert stage.names.addresses() == {WEB: ()}


def test_a_kind_of_address_that_nobody_answered_for_stays(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.names.follow(snapshot(WEB))
    stage.round(found(("10.0.0.1", "fd00::1"), 60))
    assert stage.round(Answer(("10.0.0.2",), None, 60, "AAAA: timeout")) == 60
    assert stage.names.addresses() == {WEB: ("10.0.0.2", "fd00::1")}
    stage.round(THERE)
    assert stage.names.addresses() == {WEB: ("10.0.0.2",)}, "there is none any more"
    assert lines.messages == [
        "web.test resolves in part, the other addresses stay: AAAA: timeout",
        "web.test resolves again",
    ]


# Whose names


def test_an_heir_begins_with_what_is_in_force(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    stage.names.follow(snapshot("a.test", "b.test", known={"a.test": ("10.0.0.1",), "b.test": ()}))
    assert stage.names.addresses() == {"a.test": ("10.0.0.1",), "b.test": ()}
    assert stage.names.settled(snapshot("a.test", "b.test"))
    assert sorted(stage.asked()) == ["a.test", "b.test"]
    stage.answer(GONE, "a.test")
    stage.answer(GONE, "b.test")
    assert lines.messages == ["a.test does not resolve (no such name (NXDOMAIN)): stays at 10.0.0.1"]


def test_what_is_known_here_is_not_replaced_by_an_older_state(stage: Stage) -> None:
    stage.names.follow(snapshot(WEB, known={WEB: ("10.0.0.1",)}))
    stage.round(THERE)
    stage.names.follow(snapshot(WEB, known={WEB: ("10.0.0.1",)}))
    assert stage.names.addresses() == {WEB: ("10.0.0.2",)}


def test_names_that_are_gone_are_forgotten(stage: Stage) -> None:
    stage.names.follow(snapshot("a.test", "b.test"))
    assert len(stage.asked()) == 2
    stage.names.follow(snapshot("a.test"), snapshot("c.test"))
    stage.answer(HERE, "b.test")
    assert sorted(stage.names.addresses()) == ["a.test", "c.test"]
    assert stage.asked() == ["c.test"], "a.test has been asked already"


def test_other_name_servers_are_asked_at_once(stage: Stage) -> None:
    stage.names.follow(snapshot("a.test", "b.test"))
    stage.asked()
    stage.answer(HERE, "a.test")
    other = snapshot("a.test", "b.test", nameservers=(("10.0.0.53", 53),))
    stage.names.follow(other)
    assert stage.asked() == ["a.test"]
    stage.answer(HERE, "b.test")  # of the old ones
    assert stage.asked() == ["b.test"]
    stage.names.follow(other)
    assert stage.asked() == []


def test_who_cannot_be_asked_is_a_failure_like_any_other(stage: Stage) -> None:
    class Deaf(Stage):
        def ask(self, name: str, settings: Resolver) -> None:
            self.answers.append((name, failed("no thread")))

    deaf = Deaf()
    deaf.names.follow(snapshot(WEB))
    deaf.names.turn()
    assert deaf.delay() == FIRST_RETRY


# Many


def test_names_that_are_due_at_nearly_the_same_time_are_asked_together(stage: Stage) -> None:
    stage.names.follow(snapshot("a.test", "b.test", "c.test"))
    assert len(stage.asked()) == 3
    for name in ("a.test", "b.test", "c.test"):
        stage.now += 0.01
        stage.answer(HERE, name)
    assert 60 <= stage.delay() + 0.02 < 60.1
    assert sorted(stage.asked()) == ["a.test", "b.test", "c.test"]


def test_an_answer_looks_at_no_other_name(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 10,000 names that is all there is time for."""
    stage.names.follow(snapshot(WEB, "soon.test"))
    stage.asked()
    monkeypatch.setattr(Names, "_plan", lambda _: pytest.fail("all were looked at"))
    stage.answer(HERE)
    assert stage.names.next_due() == stage.now + 60
    stage.answer(found(("10.0.0.2",), 20), "soon.test")
    assert stage.names.next_due() == stage.now + 20
