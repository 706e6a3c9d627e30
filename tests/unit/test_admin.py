"""What the admin socket answers, as logic: requests in, questions to the master and answers out."""

from __future__ import annotations

from typing import Any

import pytest

from fastnlb.control.admin import Admin
from fastnlb.control.http import Request


class Desk:
    """An Admin whose master is the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.admin = Admin(self, lambda: {"pid": 7}, lambda path: (path != "bad", [path]))

    def send(self, kind: str, **fields: Any) -> None:
        assert kind == "ask"
        self.asked.append((fields["serial"], fields["what"]))

    def request(self, method: str, path: str) -> list[tuple[int, Any]]:
        """The answers so far to this request; later ones are added."""
        answers: list[tuple[int, Any]] = []
        self.admin.handle(Request(method, path), lambda *answer: answers.append(answer))
        return answers


def test_the_state_is_answered_at_once() -> None:
    desk = Desk()
    assert desk.request("GET", "/api/v1/status") == [(200, {"pid": 7})]
    assert desk.asked == []


def test_a_plan_is_of_the_file_that_is_named() -> None:
    desk = Desk()
    answers: list[tuple[int, Any]] = []
    for path in ("/etc/x.yaml", "bad"):
        desk.admin.handle(Request("GET", "/api/v1/plan", {"config": path}), lambda *answer: answers.append(answer))
    assert answers == [
        (200, {"accepted": True, "lines": ["/etc/x.yaml"]}),
        (409, {"accepted": False, "lines": ["bad"]}),
    ]


@pytest.mark.parametrize("path", ["/", "/status", "/api/v1/", "/api/v1/nothing", "/api/v1/status/", ""])
def test_what_is_not_there_is_said_so(path: str) -> None:
    assert Desk().request("GET", path) == [(404, {"error": f"there is no {path}"})]


@pytest.mark.parametrize(("method", "route"), [("POST", "status"), ("GET", "reload"), ("PUT", "stop")])
def test_a_request_that_changes_something_is_no_get(method: str, route: str) -> None:
    desk = Desk()
    ((status, _),) = desk.request(method, f"/api/v1/{route}")
    assert (status, desk.asked) == (405, [])


def test_a_reload_is_answered_by_the_first_one_that_begins_after_it_was_asked_for() -> None:
    desk = Desk()
    desk.admin.on_reload()  # one that runs already
    answers = desk.request("POST", "/api/v1/reload")
    assert desk.asked == [(1, "reload")]
    desk.admin.on_answer(1, True, "")
    desk.admin.on_reloaded(True, ["of the one before"])
    assert answers == []
    desk.admin.on_reload()
    later = desk.request("POST", "/api/v1/reload")
    desk.admin.on_reloaded(False, ["f:1:1: no"])
    assert answers == [(409, {"accepted": False, "lines": ["f:1:1: no"]})]
    assert later == []
    desk.admin.on_reload()
    desk.admin.on_reloaded(True, ["~ x"])
    assert later == [(200, {"accepted": True, "lines": ["~ x"]})]


def test_a_reload_that_the_master_refuses_is_answered_once() -> None:
    desk = Desk()
    answers = desk.request("POST", "/api/v1/reload")
    desk.admin.on_answer(1, False, "the daemon is ending")
    desk.admin.on_reload()
    desk.admin.on_reloaded(True, [])
    assert answers == [(409, {"accepted": False, "lines": ["the daemon is ending"]})]


def test_the_master_answers_what_only_it_can_do() -> None:
    desk = Desk()
    stop, upgrade = desk.request("POST", "/api/v1/stop"), desk.request("POST", "/api/v1/upgrade")
    assert desk.asked == [(1, "stop"), (2, "upgrade")]
    desk.admin.on_answer(2, False, "no")
    desk.admin.on_answer(1, True, "draining")
    desk.admin.on_answer(9, True, "to a predecessor")
    assert stop == [(200, {"accepted": True, "lines": ["draining"]})]
    assert upgrade == [(409, {"accepted": False, "lines": ["no"]})]
