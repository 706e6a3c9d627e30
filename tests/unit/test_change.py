"""The two-phase change, event by event, without a process."""

from __future__ import annotations

from fastnlb.master.change import Action, Change, Done, Failed, Phase, SendCommit, SendRollback
from fastnlb.model import Snapshot


def change_of(*participants: int) -> Change:
    change = Change(5, Snapshot(), {}, participants)
    assert change.phase is Phase.PREPARING
    return change


def committing(*participants: int) -> Change:
    change = change_of(*participants)
    actions: list[Action] = []
    for index in participants:
        actions += change.on_prepared(index)
    assert actions == [SendCommit(participants)]
    return change


def test_commit_goes_out_when_the_last_one_is_prepared() -> None:
    change = change_of(0, 1, 2)
    assert change.begin() == []
    assert change.on_prepared(2) == []
    assert change.on_prepared(0) == []
    assert change.on_prepared(1) == [SendCommit((0, 1, 2))]
    assert change.phase is Phase.COMMITTING


def test_it_is_done_when_the_last_one_has_applied() -> None:
    change = committing(0, 1)
    assert change.on_applied(1) == []
    assert change.on_applied(0) == [Done()]
    assert change.phase is Phase.DONE


def test_a_second_answer_of_one_does_not_stand_for_another() -> None:
    change = change_of(0, 1)
    assert change.on_prepared(0) == []
    assert change.on_prepared(0) == []
    assert change.phase is Phase.PREPARING
    change.on_prepared(1)
    assert change.on_applied(0) == []
    assert change.on_applied(0) == []
    assert change.phase is Phase.COMMITTING


def test_one_refusal_rolls_everyone_back() -> None:
    change = change_of(0, 1, 2)
    change.on_prepared(0)
    assert change.on_refused(1, "bad key") == [SendRollback((0, 1, 2)), Failed("worker 1: bad key")]
    assert change.phase is Phase.ROLLED_BACK
    assert change.on_prepared(2) == []
    assert change.on_refused(2, "me too") == []


def test_nothing_fails_a_change_that_is_committing() -> None:
    change = committing(0, 1)
    assert change.on_refused(0, "too late") == []
    assert change.on_gone(0) == []
    assert change.on_applied(1) == [Done()]


def test_the_last_awaited_one_dies_while_committing() -> None:
    change = committing(0, 1)
    change.on_applied(0)
    assert change.on_gone(1) == [Done()]


def test_one_that_dies_while_preparing_is_dropped() -> None:
    change = change_of(0, 1, 2)
    change.on_prepared(0)
    assert change.on_gone(1) == []
    assert change.on_prepared(1) == [], "its heir is a stranger"
    assert change.on_prepared(2) == [SendCommit((0, 2))]


def test_the_death_of_the_last_awaited_one_commits_the_others() -> None:
    change = change_of(0, 1)
    change.on_prepared(0)
    assert change.on_gone(1) == [SendCommit((0,))]


def test_a_change_that_kills_everyone_is_rolled_back() -> None:
    change = change_of(0, 1)
    assert change.on_gone(0) == []
    rollback, failed = change.on_gone(1)
    assert rollback == SendRollback(())
    assert isinstance(failed, Failed)
    assert change.phase is Phase.ROLLED_BACK


def test_all_prepared_ones_dying_is_a_rollback_too() -> None:
    change = change_of(0, 1)
    change.on_prepared(0)
    change.on_gone(0)
    assert isinstance(change.on_gone(1)[-1], Failed)


def test_an_heir_at_the_start_must_prepare_for_itself() -> None:
    change = change_of(0, 1)
    change.on_prepared(0)
    assert change.on_replaced(0) == []
    assert change.on_prepared(1) == [], "committed on the word of a dead worker"
    assert change.on_prepared(0) == [SendCommit((0, 1))]


def test_an_heir_while_committing_is_no_participant() -> None:
    change = committing(0, 1)
    change.on_applied(1)
    assert change.on_replaced(0) == [Done()]


def test_without_participants_it_is_done_at_once() -> None:
    change = change_of()
    assert change.begin() == [SendCommit(()), Done()]
    assert change.phase is Phase.DONE


def test_strangers_and_latecomers_are_ignored() -> None:
    change = change_of(0)
    assert change.on_prepared(9) == change.on_applied(9) == change.on_refused(9, "") == change.on_gone(9) == []
    assert change.on_applied(0) == [], "applied before commit"
    change.on_prepared(0)
    change.on_applied(0)
    assert change.on_gone(0) == change.on_applied(0) == change.on_prepared(0) == []
    assert change.phase is Phase.DONE
