"""What a daemon is told to do, as logic: questions to the master and answers out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fastnlb.control.commands import ENDING, Commands, Outcome


class Desk:
    """Commands whose master is the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.commands = Commands(self)

    def send(self, kind: str, **fields: Any) -> None:
        assert kind == "ask"
        self.asked.append((fields["serial"], fields["what"]))

    def ask(self, what: str) -> list[Outcome]:
        """The answers so far; later ones are added."""
        answers: list[Outcome] = []
        self.commands.ask(what, answers.append)
        return answers


def test_a_reload_is_answered_by_the_first_one_that_begins_after_it_was_asked_for() -> None:
    desk = Desk()
    desk.commands.on_reload()  # one that runs already
    answers = desk.ask("reload")
    assert desk.asked == [(1, "reload")]
    desk.commands.on_answer(1, True, "")
    desk.commands.on_reloaded(True, ["of the one before"])
    assert answers == []
    desk.commands.on_reload()
    later = desk.ask("reload")
    desk.commands.on_reloaded(False, ["f:1:1: no"])
    assert answers == [Outcome(False, ("f:1:1: no",))]
    assert later == []
    desk.commands.on_reload()
    desk.commands.on_reloaded(True, ["~ x"])
    assert later == [Outcome(True, ("~ x",))]


def test_a_reload_that_has_begun_for_somebody_else_answers_when_it_is_over_and_no_sooner() -> None:
    desk = Desk()
    answers = desk.ask("change")
    desk.commands.on_reload()  # a signal came before the question
    desk.commands.on_answer(1, True, "")
    assert answers == []
    desk.commands.on_reloaded(False, ["no"])
    assert answers == [Outcome(False, ("no",))]
    late = desk.ask("change")
    desk.commands.on_reload()
    desk.commands.on_reloaded(True, [])
    desk.commands.on_answer(2, True, "")
    assert late == [Outcome(True)]


def test_who_wants_all_of_it_hears_nothing_of_a_change_that_was_refused_in_it() -> None:
    desk = Desk()
    whole, change = desk.ask("reload"), desk.ask("change")
    desk.commands.on_reload()
    desk.commands.on_reloaded(False, ["port taken"], again=True)
    assert change == [Outcome(False, ("port taken",))]
    assert whole == []
    desk.commands.on_reload()
    desk.commands.on_reloaded(True, ["workers: 1 -> 3"])
    assert whole == [Outcome(True, ("workers: 1 -> 3",))]


def test_who_waits_for_the_rest_of_a_reload_hears_of_the_end_of_the_daemon() -> None:
    desk = Desk()
    whole = desk.ask("reload")
    desk.commands.on_reload()
    desk.commands.on_reloaded(False, ["port taken"], again=True)
    desk.commands.end()
    assert whole == [ENDING]


@pytest.mark.parametrize("what", ["reload", "change"])
def test_a_reload_that_the_master_has_no_time_for_is_answered_once_and_may_be_asked_for_again(what: str) -> None:
    desk = Desk()
    answers = desk.ask(what)
    desk.commands.on_answer(1, False, "the daemon is ending")
    desk.commands.on_reload()
    desk.commands.on_reloaded(True, [])
    assert answers == [Outcome(False, ("the daemon is ending",), later=True)]


def test_the_master_answers_what_only_it_can_do() -> None:
    desk = Desk()
    stop, upgrade = desk.ask("stop"), desk.ask("upgrade")
    assert desk.asked == [(1, "stop"), (2, "upgrade")]
    desk.commands.on_answer(2, False, "no")
    desk.commands.on_answer(1, True, "draining")
    desk.commands.on_answer(9, True, "to a predecessor")
    assert stop == [Outcome(True, ("draining",))]
    assert upgrade == [Outcome(False, ("no",))]


def test_who_waits_and_leaves_is_no_harm() -> None:
    async def leave() -> None:
        waiting = asyncio.create_task(desk.commands.done("stop"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        desk.commands.on_answer(1, True, "draining")

    desk = Desk()
    asyncio.run(leave())
    assert desk.asked == [(1, "stop")]


def test_who_waits_when_control_is_sent_home_is_told_once_and_nobody_is_asked_any_more() -> None:
    desk = Desk()
    running = desk.ask("reload")
    desk.commands.on_answer(1, True, "")
    desk.commands.on_reload()
    waiting, upgrade = desk.ask("reload"), desk.ask("upgrade")
    desk.commands.end()
    late = desk.ask("reload")
    desk.commands.on_reloaded(True, [])
    assert running == waiting == upgrade == late == [ENDING]
    assert len(desk.asked) == 3
