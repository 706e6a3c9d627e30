"""Reloads beside a change that somebody has staged, and those of an heir: who is answered by which."""

from __future__ import annotations

import pytest
from support.reload_stage import FakeChannel, FakeLoader, Stage, loaded, reloads_on, snapshot

from fastnlb.config.errors import Problem

pytestmark = pytest.mark.usefixtures("lines", "every_descriptor_closed")


def test_a_change_that_is_staged_leaves_the_number_of_workers_alone() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(), workers=3), whole=False)
    assert stage.ends == [(True, ["nothing has changed"])]
    assert stage.channel.workers == []


def test_who_wants_all_of_it_gets_all_of_it_when_a_change_is_staged_too() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reloads.on_reload(whole=True)
    stage.reload(loaded(snapshot(), workers=3), whole=False)
    assert stage.ends == [(True, ["workers: 1 -> 3"])]
    assert stage.channel.workers == [3]
    stage.reload(loaded(snapshot(), workers=4), whole=False)
    assert stage.channel.workers == [3], "what somebody wanted once counts once"


def test_who_wanted_all_of_it_gets_the_rest_when_the_change_in_it_is_refused() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(port=2), workers=3))
    stage.loader.staged, stage.loader.next = None, loaded(snapshot(port=3), workers=3)
    stage.outcome(1, False, "port taken")
    assert stage.ends == [(False, ["port taken"])]
    assert stage.begun_again == 1
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "propose"], "the master still waits for its end"
    stage.outcome(2, True)
    assert stage.ends[1:] == [(True, ["workers: 1 -> 3", "~ listener l: port 1 -> 3"])]
    assert stage.channel.workers == [3]
    assert stage.channel.sent[2:] == [("reloaded", None)]
    assert stage.begun_again == 1


def test_a_refused_change_that_nobody_reloads_beside_is_not_read_again() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(port=2)), whole=False)
    stage.outcome(1, False, "port taken")
    assert stage.loader.calls == ["load"]
    assert stage.begun_again == 0
    assert stage.channel.sent[1:] == [("reloaded", None)]


def test_a_reload_that_nobody_asked_for_waits_for_who_has_staged_a_change() -> None:
    stage = Stage(generation=2, acknowledged=True)
    stage.loader.next = loaded(snapshot(port=2))
    stage.loader.staged = object()
    stage.reloads.turn()
    assert stage.loader.calls == []
    stage.reload(loaded(snapshot(port=2)), whole=False)
    stage.outcome(1, True)
    assert stage.ends == [(True, ["~ listener l: port 1 -> 2"])]
    assert stage.loader.calls == ["load"]


def test_who_asks_after_the_reading_has_begun_is_not_answered_by_it() -> None:
    begun: list[str] = []
    channel, loader = FakeChannel(), FakeLoader()
    reloads = reloads_on(loader, channel, on_reading=lambda: begun.append("reading"))
    reloads.on_current(1, snapshot())
    loader.next = loaded(snapshot(port=2))
    reloads.on_reload(True)
    assert begun == []
    reloads.turn()
    reloads.on_reload(True)
    reloads.turn()
    assert begun == ["reading"]
    reloads.on_outcome(1, True, "")
    reloads.turn()
    assert begun == ["reading", "reading"]


@pytest.mark.parametrize(("generation", "behind"), [(5, False), (1, True)], ids=["heir", "after a hot restart"])
def test_what_was_acknowledged_is_served_without_being_asked_for(generation: int, behind: bool) -> None:
    stage = Stage(generation, acknowledged=True, behind=behind)
    stage.loader.next = loaded(snapshot(port=2))
    stage.reloads.turn()
    assert stage.channel.sent == [("propose", (1, snapshot(port=2)))]


def test_what_was_loaded_for_the_start_is_not_loaded_again() -> None:
    stage = Stage(acknowledged=True)
    stage.reloads.turn()
    assert stage.loader.calls == []


def test_who_asks_while_an_heir_reloads_by_itself_waits_for_a_reload_of_their_own() -> None:
    """What they ask for may have been staged after the configuration was read."""
    stage = Stage(generation=2, acknowledged=True)
    stage.loader.next = loaded(snapshot(port=2))
    stage.reloads.turn()
    stage.loader.next = loaded(snapshot(port=3))
    stage.reloads.on_reload(True)
    stage.outcome(1, True)
    assert stage.ends == []
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "propose"]
    stage.outcome(2, True)
    assert stage.ends == [(True, ["~ listener l: port 2 -> 3"])]
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "propose", "reloaded"]


def test_an_heir_takes_what_is_in_the_file_for_what_is_served_only_if_it_is() -> None:
    stage = Stage(generation=2)
    assert stage.reloads.accepted is None
    stage.loader.next = loaded(snapshot(port=2))
    stage.reloads.turn()
    assert stage.reloads.accepted is None, "it was changed and never reloaded"
    stage.reload(loaded(snapshot(port=2)))
    stage.outcome(1, True)
    assert stage.reloads.accepted is stage.loader.next
    same = Stage(generation=2)
    same.reloads.turn()
    assert same.reloads.accepted is same.loader.next


def test_what_is_odd_about_the_rest_is_not_said_again_at_a_change_to_one_thing(
    lines: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    odd, new = (Problem(0, 0, "", text, warning=True) for text in ("odd", "new"))
    stage.reload(loaded(snapshot(), odd))
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(), odd, new))
    said = [line for line in lines.messages if "warning" in line]
    assert [line.rpartition(" ")[2] for line in said] == ["odd", "new"]
