"""Ranges of ports and the server groups for them: what the file may say, where it is refused, and what it becomes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fastnlb import model
from fastnlb.config import snapshot
from fastnlb.config.errors import ConfigError, Report
from fastnlb.config.plan import plan
from fastnlb.config.schema_rules import check_rules
from fastnlb.config.schema_validate import Parts, validate

GOOD: dict[str, Any] = {
    "version": 1,
    "certificates": [{"name": "www", "certificate": "www.pem"}],
    "server_groups": [
        {
            "name": "games",
            "any_port": True,
            "servers": [{"address": "10.0.0.1"}, {"address": "10.0.0.2", "port": 0}],
            "health_check": {"connect_port": 8080},
        },
        {"name": "web", "servers": [{"address": "10.0.0.1", "port": 80}]},
    ],
    "listeners": [
        {
            "name": "range",
            "protocol": "TCPSSL",
            "port_range": [20000, 20099],
            "server_group": "games",
            "certificate": "www",
        }
    ],
}


def parts_of(data: object) -> tuple[Parts, list[str]]:
    """The blocks, and `path: message` for each problem."""
    report = Report()
    parts = validate(data, report)
    check_rules(data, parts, report)
    try:
        report.raise_errors()
    except ConfigError as refused:
        return parts, [problem.render("").removeprefix(": ") for problem in refused.problems]
    return parts, []


def problems(data: object) -> list[str]:
    return parts_of(data)[1]


def with_group(**changes: object) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    data["server_groups"][0].update(changes)
    return data


def beside(**listener: object) -> dict[str, Any]:
    """The range and a listener after it."""
    data = copy.deepcopy(GOOD)
    data["listeners"].append({"name": "one", "protocol": "TCP", "server_group": "web", **listener})
    return data


def test_a_range_becomes_a_listener_with_a_first_and_a_last_port() -> None:
    parts, said = parts_of(GOOD)
    assert said == []
    assert parts.file is not None
    made = snapshot.snapshot(parts.file, (), ())
    (listener,) = made.listeners
    assert (listener.port, listener.last_port, len(listener.ports)) == (20000, 20099, 100)
    group, other = made.server_groups
    assert group.any_port
    assert not other.any_port
    assert group.servers == (model.Server("10.0.0.1", 0), model.Server("10.0.0.2", 0))
    assert list(model.Listener("l", "TCP", "::", 443, "g").ports) == [443]


@pytest.mark.parametrize("check", [{}, {"connect_port": 0}, {"type": "HTTP"}])
def test_servers_without_a_port_need_one_to_be_checked_on(check: dict[str, object]) -> None:
    assert problems(with_group(health_check=check)) == [
        "server_groups[0].health_check: servers of an any_port group are checked on one port: write "
        "connect_port: 8080, or enabled: false [IllegalParam.AnyPortServerGroupConflictWithHealthCheckConfig]"
    ]


def test_a_check_that_is_left_out_is_on_and_needs_a_port_as_well() -> None:
    data = copy.deepcopy(GOOD)
    del data["server_groups"][0]["health_check"]
    (problem,) = problems(data)
    assert problem.startswith("server_groups[0].health_check: ")


def test_without_checks_no_port_is_needed_for_them() -> None:
    assert problems(with_group(health_check={"enabled": False})) == []


def test_a_wrong_port_for_checks_is_said_once() -> None:
    (problem,) = problems(with_group(health_check={"connect_port": "x"}))
    assert problem.startswith("server_groups[0].health_check.connect_port: ")


def test_a_port_that_would_mean_nothing_is_refused() -> None:
    assert problems(with_group(servers=[{"address": "10.0.0.1"}, {"address": "10.0.0.2", "port": 80}])) == [
        "server_groups[0].servers[1].port: a server of an any_port group is connected to on the client's port: "
        "leave port out [IllegalParam.RSPortConflictWithServerGroup]"
    ]


def test_the_same_server_twice_is_seen_without_ports_too() -> None:
    (problem,) = problems(with_group(servers=[{"address": "10.0.0.1"}, {"address": "10.0.0.1", "port": 0}]))
    assert problem.startswith("server_groups[0].servers[1]: this server is in the group already")
    assert problem.endswith("[DuplicatedParam.Server]")


@pytest.mark.parametrize(
    ("listener", "wanted", "held"),
    [
        ({"port": 20000}, "0.0.0.0:20000", "0.0.0.0:20000-20099"),
        ({"port": 20099, "address": "10.0.0.1"}, "10.0.0.1:20099", "0.0.0.0:20000-20099"),
        ({"port": 20050, "enabled": False}, "0.0.0.0:20050", "0.0.0.0:20000-20099"),
    ],
)
def test_a_port_of_a_range_is_taken(listener: dict[str, object], wanted: str, held: str) -> None:
    assert problems(beside(**listener)) == [
        f'listeners[1].port: {wanted} is taken by the listener "range", which listens on {held} [Conflict.Port]'
    ]


@pytest.mark.parametrize(
    "listener",
    [
        {"port": 19999},
        {"port": 20100},
        {"port": 20050, "address": "::"},
        {"port": 20050, "protocol": "UDP", "server_group": "both"},
    ],
)
def test_what_is_beside_a_range_is_free(listener: dict[str, object]) -> None:
    data = beside(**listener)
    data["server_groups"].append({"name": "both", "protocol": "TCP_UDP"})
    assert problems(data) == []


def test_a_range_over_a_port_that_is_taken_is_refused_at_the_range() -> None:
    data = beside(port=20050, address="10.0.0.1")
    data["listeners"].reverse()
    assert problems(data) == [
        'listeners[1].port_range: 0.0.0.0:20000-20099 is taken by the listener "one", which listens on '
        "10.0.0.1:20050 [Conflict.Port]"
    ]


def test_ranges_on_one_address_of_each_kind_do_not_collide() -> None:
    data = beside(port_range=[20000, 20010], address="::1", server_group="games")
    (problem,) = problems(data)
    assert problem.endswith("[DuplicatedParam.listener]"), "one range in all"
    data["listeners"][1].update(address="127.0.0.1")
    assert [problem.partition(" [")[2] for problem in problems(data)] == [
        "Conflict.Port]",
        "DuplicatedParam.listener]",
    ]


def test_the_plan_names_the_ports() -> None:
    parts, _ = parts_of(GOOD)
    assert parts.file is not None
    made = snapshot.snapshot(parts.file, (), ())
    lines = plan(model.Snapshot(), made).describe()
    assert "+ listener range 0.0.0.0:20000-20099" in lines
    parts, _ = parts_of(with_group(servers=[{"address": "::1"}]))
    assert parts.file is not None
    changed = plan(made, snapshot.snapshot(parts.file, (), ()))
    assert "server ::1 added" in changed.describe()[0]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ((20000, 20099), (20000, 20100), "port 20000-20099 -> 20000-20100"),
        ((20000, 20099), (20001, 20099), "port 20000-20099 -> 20001-20099"),
        ((20000, 20099), (20001, 20100), "port 20000-20099 -> 20001-20100"),
        ((443, 0), (20000, 20099), "port 443 -> 20000-20099"),
        ((443, 0), (444, 0), "port 443 -> 444"),
    ],
)
def test_the_plan_says_once_which_ports_change(old: tuple[int, int], new: tuple[int, int], line: str) -> None:
    before, after = (
        model.Snapshot((model.Listener("r", "TCP", "::", port, "g", last_port=last),)) for port, last in (old, new)
    )
    changed = plan(before, after)
    assert changed.describe() == [f"~ listener r: {line}"]
    assert len(changed.listeners_to_open) == len(changed.listeners_to_close) == 1
