"""Rates between two looks at a daemon, and how they are fitted to a screen."""

from __future__ import annotations

from typing import Any

import pytest

from fastnlb.cli.top_numbers import Look, listener_lines, ordered, sick_servers, worker_lines
from fastnlb.cli.top_screen import amount, fitted, view


def listener(name: str, connections: int | None = 0, **counters: int) -> dict[str, Any]:
    where = {"address": "0.0.0.0", "port": 443, "last_port": None}  # noqa: S104
    told = {"name": name, "protocol": "TCPSSL", "enabled": True, "server_group": "g", "connections": connections}
    return {**where, **told, **({"counters": counters} if counters else {})}


def server(health: str | None) -> dict[str, Any]:
    return {
        "address": "::1",
        "port": 80,
        "host": None,
        "weight": 1,
        "health": health,
        "reason": None,
        "connections": 2,
    }


def look(at: float, *listeners: dict[str, Any], busy: dict[int, float] | None = None, **counters: int) -> Look:
    worker = {"index": 0, "pid": 7, "state": "serving", "connections": 3, "age": 1.0, "counters": counters}
    group = {"name": "g", "servers": [server(each) for each in ("HEALTHY", "UNHEALTHY", "INITIAL", None)]}
    daemon = {"version": "0.1", "pid": 1, "age": 60.0, "generation": 2, "mode": "store", "revision": 4}
    lists = {"workers": [worker], "draining": [], "listeners": list(listeners), "server_groups": [group]}
    return Look(at, {**daemon, **lists}, busy or {})


def test_rates_are_what_has_grown_by_the_time_it_took() -> None:
    first = listener("a", accepted=10, bytes_up=0, bytes_down=0, handshakes=5, handshakes_failed=1, dropped_cps=0)
    then = listener("a", accepted=30, bytes_up=100, bytes_down=900, handshakes=25, handshakes_failed=3, dropped_cps=8)
    (line,) = listener_lines(look(1.0, first), look(3.0, then))
    assert (line.new, line.up, line.down, line.handshakes, line.failed, line.dropped) == (10, 50, 450, 10, 1, 4)
    assert (line.left, line.resumed) == (0, 0), "what is zero need not be told"


def test_handshakes_by_version_and_failures_by_reason_are_added_up() -> None:
    names = ("handshakes_tls12", "handshakes_tls13", "handshakes_tls13_resumed", "failed_alert", "failed_timed_out")
    before, now = (listener("a", **{name: number * at for number, name in enumerate(names, 1)}) for at in (0, 1))
    (line,) = listener_lines(look(1.0, before), look(2.0, now))
    assert (line.handshakes, line.resumed, line.failed, line.left) == (6, 3, 4, 5)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, look(2.0, listener("a", accepted=5))),
        (look(1.0), look(2.0, listener("a", accepted=5))),
        (look(1.0, listener("a", accepted=9)), look(2.0, listener("a", accepted=5))),
        (look(1.0, listener("a")), look(2.0, listener("a"))),
        (look(2.0, listener("a", accepted=5)), look(2.0, listener("a", accepted=5))),
    ],
)
def test_a_rate_that_cannot_be_known_is_none(before: Look | None, now: Look) -> None:
    (line,) = listener_lines(before, now)
    assert line.new is None


def test_the_load_of_a_worker_is_its_processor_time() -> None:
    before = look(1.0, busy={7: 2.0}, accepted=0, bytes_up=0, bytes_down=0)
    now = look(3.0, busy={7: 3.0}, accepted=4, bytes_up=10, bytes_down=30)
    (line,) = worker_lines(before, now)
    assert (line.load, line.new, line.bytes) == (0.5, 2, 20)
    assert worker_lines(before, look(3.0))[0].load is None


def test_servers_out_of_health_are_named() -> None:
    assert [each.health for each in sick_servers(look(1.0).answer)] == ["unhealthy", "initial"]


def test_listeners_are_sorted_as_wanted() -> None:
    lines = listener_lines(None, look(1.0, listener("b", 1), listener("a", 1), listener("c", 9), listener("d", None)))
    assert [each.name for each in ordered(lines, "connections")] == ["c", "a", "b", "d"]
    assert [each.name for each in ordered(lines, "name")] == ["a", "b", "c", "d"]


def test_a_plain_look_has_all_of_it() -> None:
    lines = list(view(None, look(1.0, listener("a", 5))).plain())
    assert (
        lines[0]
        == "fastnlb 0.1, process 1, up 1m0s, configuration 2, store mode, revision 4; 2 of 4 servers out of health"
    )
    assert lines[2].split()[:2] == ["WORKER", "PID"]
    assert lines[6].split()[:4] == ["a", "0.0.0.0:443", "running", "5"]
    assert lines[9].split() == ["g", "[::1]:80", "unhealthy", "-", "2"]


@pytest.mark.parametrize("height", [5, 12, 24, 60, 300])
def test_a_view_fits_its_terminal(height: int) -> None:
    whole = view(None, look(1.0, *(listener(f"l{number:03}", number) for number in range(200))))
    shown = fitted(whole, height)
    lines = 2 + sum(2 + len(table.rows) + (1 if table.missing else 0) for table in shown.tables)
    assert lines <= max(height, 2 + 3 * 6)
    assert shown.tables[0].missing == 0
    assert shown.tables[1].total == 200
    if height == 300:
        assert shown == whole
    if height == 60:
        assert len(shown.tables[1].rows) > 40


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (0.0, "0"),
        (0.04, "0.0"),
        (0.5, "0.5"),
        (12.3, "12"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (1234.0, "1.2k"),
        (34_000_000.0, "34M"),
        (2e15, "2P"),
    ],
)
def test_amounts_are_short(value: float | None, text: str | None) -> None:
    assert amount(value) == text
