"""Reloads as the control process decides them: planned, proposed, and answered with what became of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.reload_stage import FakeChannel, FakeLoader, Stage, loaded, reloads_on, snapshot

from fastnlb.channel import ChannelClosed
from fastnlb.config.errors import ConfigError, Problem
from fastnlb.control.settings import fixed_differences
from fastnlb.model import Settings

pytestmark = pytest.mark.usefixtures("lines", "every_descriptor_closed")


def test_a_reload_is_planned_proposed_and_answered_after_its_outcome(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    assert "~ listener l: port 1 -> 2" in lines.messages
    assert stage.channel.sent == [("propose", (1, snapshot(port=2)))]
    stage.outcome(1, True)
    assert stage.channel.sent[1:] == [("reloaded", None)]
    stage.reload(loaded(snapshot(port=2)))
    assert stage.channel.sent[2:] == [("reloaded", None)], "what is in force was proposed"
    assert "reload: nothing has changed" in lines.messages
    assert stage.ends == [(True, ["~ listener l: port 1 -> 2"]), (True, ["nothing has changed"])]


def test_whoever_has_asked_hears_why_nothing_has_changed() -> None:
    stage = Stage()
    problems = [Problem(3, 9, "listeners[0].port", "no"), Problem(5, 1, "x", "odd", warning=True)]
    stage.reload(ConfigError(problems))
    stage.reload(RuntimeError("odd"))
    stage.reload(loaded(snapshot(port=2), Problem(0, 0, "", "beware", warning=True), workers=7))
    assert len(stage.ends) == 2, "the third waits for its outcome"
    stage.outcome(1, False, "listener l: cannot listen")
    assert stage.ends == [
        (False, ["f.yaml:3:9: listeners[0].port: no", "f.yaml:5:1: x: warning: odd"]),
        (False, ["RuntimeError: odd"]),
        (False, ["listener l: cannot listen"]),
    ]


def test_what_has_to_wait_for_the_next_start_is_said_too() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(), Problem(0, 0, "", "beware", warning=True), shutdown_timeout=7))
    (accepted, said), *_ = stage.ends
    assert accepted
    assert said == [
        "f.yaml: warning: beware",
        "shutdown_timeout: 30 -> 7 takes effect at the next start",
        "nothing has changed",
    ]


def test_a_refused_proposal_is_not_in_force() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    stage.outcome(1, False)
    stage.reload(loaded(snapshot(port=2)))
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "reloaded", "propose"]


def test_nothing_happens_before_it_is_known_what_is_in_force() -> None:
    loader, channel = FakeLoader(), FakeChannel()
    reloads = reloads_on(loader, channel)
    reloads.on_reload(True)
    reloads.turn()
    assert not loader.calls
    reloads.on_current(1, snapshot())
    reloads.turn()
    assert loader.calls == ["load"]


def test_who_asks_meanwhile_gets_one_more_together() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    for _ in range(5):
        stage.reload(loaded(snapshot(port=3)))
        stage.refresh(loaded(snapshot()))
    assert stage.loader.calls == ["load"]
    stage.outcome(1, True)
    assert stage.loader.calls == ["load", "load"], "a reload is a refresh as well"
    assert stage.channel.sent[-1] == ("propose", (2, snapshot(port=3)))


def test_the_outcome_of_another_proposal_is_ignored() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    stage.outcome(7, True)
    assert len(stage.channel.sent) == 1
    stage.outcome(1, True)
    stage.outcome(1, True)
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "reloaded"]


def test_every_problem_is_told_with_its_place_and_the_old_state_stays(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    problems = [Problem(3, 9, "listeners[0].port", "no"), Problem(5, 1, "x", "odd", warning=True)]
    stage.reload(ConfigError(problems))
    said = [(record.levelname, record.getMessage()) for record in lines.records]
    assert said == [
        ("ERROR", "f.yaml:3:9: listeners[0].port: no"),
        ("WARNING", "f.yaml:5:1: x: warning: odd"),
        ("ERROR", "reload refused: the old configuration stays"),
    ]
    assert stage.channel.sent == [("reloaded", None)]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("a bug\nof ours"), RecursionError("deep")])
def test_any_other_error_is_one_line_and_the_next_reload_works(
    error: Exception, lines: pytest.LogCaptureFixture
) -> None:
    stage = Stage()
    stage.reload(error)
    assert len(lines.records) == 1
    assert lines.messages[0].startswith(f"reload failed, the old configuration stays: {type(error).__name__}: ")
    stage.reload(loaded(snapshot(port=2)))
    assert [kind for kind, _ in stage.channel.sent] == ["reloaded", "propose"]


def test_a_refresh_waits_for_a_reload_that_fails() -> None:
    stage = Stage()
    stage.reloads.on_refresh()
    stage.reload(ConfigError([Problem(0, 0, "", "no")]))
    assert stage.loader.calls == ["load", "refresh"]


def test_the_end_of_the_channel_is_no_failure_of_the_reload() -> None:
    stage = Stage()
    stage.channel.closed = True
    with pytest.raises(ChannelClosed):
        stage.reload(loaded(snapshot(port=2)))


def test_settings_that_cannot_change_are_named(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(), user="www"))
    assert "user: none -> www takes effect at the next start" in lines.messages


def test_the_master_is_told_the_number_of_workers_when_a_reload_went_well() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(), workers=3))
    assert stage.ends == [(True, ["workers: 1 -> 3"])]
    assert stage.channel.workers == [3]
    stage.reload(loaded(snapshot(port=2), workers=4))
    stage.outcome(1, False, "listener l: cannot listen")
    stage.reload(ConfigError([Problem(3, 9, "x", "no")]))
    assert stage.channel.workers == [3]
    stage.reload(loaded(snapshot(port=2), workers=4))
    stage.outcome(2, True)
    assert stage.ends[-1] == (True, ["workers: 3 -> 4", "~ listener l: port 1 -> 2"])
    assert stage.channel.workers == [3, 4]


def test_the_number_is_told_again_as_signals_may_have_changed_it() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot()))
    assert stage.ends == [(True, ["nothing has changed"])]
    assert stage.channel.workers == [1]


def test_what_was_loaded_counts_as_accepted_once_the_master_has_taken_it() -> None:
    stage = Stage()
    before = stage.reloads.accepted
    wanted = loaded(snapshot(port=2))
    stage.reload(wanted)
    assert stage.reloads.accepted is before
    stage.outcome(1, False, "no")
    assert stage.reloads.accepted is before
    stage.reload(wanted)
    stage.outcome(2, True)
    assert stage.reloads.accepted is wanted


def test_the_differences_of_settings_are_spelled_as_in_the_file() -> None:
    old = Settings()
    new = Settings(2, "/run/x", "a.sock", ("::1", 9901), "www", "/t", "nobody", 7, "debug", "json", True, True)
    assert fixed_differences(old, old) == []
    assert fixed_differences(old, replace(old, watch=True)) == []
    assert fixed_differences(old, new) == [
        f"{what} takes effect at the next start"
        for what in (
            "run_dir: none -> /run/x",
            "admin.socket: admin.sock -> a.sock",
            "admin.listen: none -> [::1]:9901",
            "admin.certificate: none -> www",
            "admin.tokens_file: none -> /t",
            "user: none -> nobody",
            "shutdown_timeout: 30 -> 7",
            "logging.level: info -> debug",
            "logging.format: console -> json",
            "core_dumps: false -> true",
        )
    ]
