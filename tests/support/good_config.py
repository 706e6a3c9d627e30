"""A configuration that is good as plain data, ways to spoil it, and what is said of it then."""

from __future__ import annotations

import copy
from typing import Any

from fastnlb.config.availability import check_availability
from fastnlb.config.errors import ConfigError, Report, Where
from fastnlb.config.schema_rules import check_rules
from fastnlb.config.schema_validate import validate
from support.json_schema import objections

REMOVED = object()

GOOD: dict[str, Any] = {
    "version": 1,
    "admin": {},
    "logging": {},
    "certificates": [{"name": "www", "certificate": "www.pem", "private_key": "www.key"}],
    "server_groups": [{"name": "web", "servers": [{"address": "127.0.0.1", "port": 8080}], "health_check": {}}],
    "listeners": [
        {
            "name": "https",
            "protocol": "TCPSSL",
            "address": "127.0.0.1",
            "port": 443,
            "server_group": "web",
            "certificate": "www",
        }
    ],
}
LISTENER: Where = ("listeners", 0)
GROUP: Where = ("server_groups", 0)
SERVER: Where = ("server_groups", 0, "servers", 0)
PROBE: Where = ("server_groups", 0, "health_check")


def judge(data: object) -> list[str]:
    """`path: message` for each problem, material apart.  What is good has to be good by the JSON Schema as well."""
    report = Report()
    check_availability_and_rules(data, report)
    try:
        report.raise_errors()
    except ConfigError as refused:
        return [problem.render("").removeprefix(": ") for problem in refused.problems if not problem.warning]
    assert objections(data) == []
    return []


def check_availability_and_rules(data: object, report: Report) -> None:
    check_rules(data, validate(data, report), report)
    check_availability(data, report)


def with_value(where: Where, value: object) -> dict[str, Any]:
    """The good configuration with `value` at `where`, or without what is there."""
    data: Any = copy.deepcopy(GOOD)
    *outer, last = where
    inner = data
    for part in outer:
        inner = inner[part]
    if value is REMOVED:
        del inner[last]
    else:
        inner[last] = value
    return data  # type: ignore[no-any-return]


def second(kind: str, **changes: object) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    data[kind].append({**copy.deepcopy(GOOD[kind][0]), **changes})
    return data
