"""What `fastnlb status` shows: from the master's words, shared memory and the configuration in force."""

from __future__ import annotations

import time
from typing import Any

from click.testing import CliRunner

from fastnlb.board import Health, Reason
from fastnlb.cli import status as command
from fastnlb.cli.admin_client import Answer
from fastnlb.control.status import status
from fastnlb.model import TCP, Cells, Listener, Offer, Server, ServerGroup, Snapshot

OFFER = Offer(
    Snapshot(
        (
            Listener("web", "TCPSSL", "::", 443, "g"),
            Listener("range", TCP, "0.0.0.0", 2000, "any", last_port=2099, enabled=False),  # noqa: S104
        ),
        (
            ServerGroup("g", (Server("10.0.0.1", 80), Server("::1", 80, 0, "app.test"), Server("unix:/run/s", 0))),
            ServerGroup("any", (Server("10.0.0.9", 0),), any_port=True),
        ),
    ),
    cells=Cells({("g", "10.0.0.1", 80): 0, ("g", "::1", 80): 1}, {"web": 0}),
)


class Memory:
    """A board and a page whose numbers tell where they were read."""

    def health(self, cell: int) -> tuple[Health, Reason]:
        return [(Health.HEALTHY, Reason.NONE), (Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)][cell]

    def server_connections(self, cell: int) -> int:
        return 10 + cell

    def listener_connections(self, cell: int) -> int:
        return 20 + cell

    def row(self, row: int) -> dict[str, int]:
        return {"connections": 30 + row}

    def total(self) -> dict[str, int]:
        return {"connections": 40}


def shown(**state: Any) -> dict[str, Any]:
    return status(state, OFFER, Memory(), Memory(), Memory())


def test_numbers_are_those_of_this_moment() -> None:
    since = time.monotonic() - 60
    answer = shown(
        pid=7,
        since=since,
        generation=3,
        workers=[{"index": 1, "pid": 8, "state": "serving", "generation": 3, "row": 2, "since": since}],
        draining=[{"pid": 5, "since": since}],
    )
    (worker,), (old,) = answer["workers"], answer["draining"]
    assert (worker["pid"], worker["connections"], round(worker["age"])) == (8, 32, 60)
    assert (old["pid"], old["connections"], round(old["age"])) == (5, 40, 60)
    assert [each["connections"] for each in answer["listeners"]] == [20, None]
    servers = answer["server_groups"][0]["servers"]
    assert [(each["health"], each["reason"], each["connections"]) for each in servers] == [
        ("HEALTHY", None, 10),
        ("UNHEALTHY", "CONNECT_TIMEOUT", 11),
        (None, None, None),
    ]


def test_before_the_master_has_said_anything_there_is_little_to_show() -> None:
    answer = shown()
    assert (answer["pid"], answer["workers"], answer["draining"]) == (None, [], [])


def test_the_table_has_every_place_as_a_person_would_write_it(monkeypatch: Any) -> None:
    answer = shown(pid=7, since=time.monotonic(), generation=3, draining=[{"pid": 5, "since": time.monotonic()}])
    monkeypatch.setattr(command, "demand", lambda *_: Answer(200, answer))
    output = CliRunner().invoke(command.status, []).output
    for words in ("[::]:443", "0.0.0.0:2000-2099", "stopped", "[::1]:80 (app.test)", "unix:/run/s", "10.0.0.9 "):
        assert words in output
    assert "CONNECT_TIMEOUT" in output
    assert "DRAINING" in output


def test_ages() -> None:
    ages = {0: "0s", 59.9: "59s", 61: "1m1s", 3600: "1h0m", 90_000: "1d1h"}
    assert {seconds: command.show_age(seconds) for seconds in ages} == ages
