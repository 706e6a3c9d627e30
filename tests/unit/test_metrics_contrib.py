"""The dashboard and the rules: sound by Prometheus's own tool, and about metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.procs import ROOT

from fastnlb.stats.blocks import HISTOGRAM
from fastnlb.stats.families import FAMILIES, full_name
from fastnlb.stats.labels import FAILURES

RULES = ROOT / "contrib" / "prometheus"
FILES = ("fastnlb.rules.yml", "fastnlb.alerts.yml")
DASHBOARD = ROOT / "contrib" / "grafana" / "fastnlb.json"
WINDOWS = {"$__rate_interval": "5m"}
EXPRESSION = re.compile(r"(?<![:\w])fastnlb_\w+")
"""A metric; what a rule records has a colon before it."""


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], cwd=RULES, capture_output=True, text=True, timeout=60, check=False)


def groups(name: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = yaml.safe_load((RULES / name).read_text())["groups"]
    return rules


def panels() -> list[dict[str, Any]]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def rule_expressions() -> Iterator[str]:
    for name in FILES:
        yield from (rule["expr"] for group in groups(name) for rule in group["rules"])


def exposed() -> set[str]:
    """The names of all series."""
    names: set[str] = set()
    for family in FAMILIES:
        ends = ("_bucket", "_sum", "_count") if family.kind == HISTOGRAM else ("",)
        names |= {full_name(family) + end for end in ends}
    return names


def test_the_rules_are_rules() -> None:
    checked = promtool("check", "rules", *FILES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    checked = promtool("test", "rules", "fastnlb.tests.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_tested_to_fire() -> None:
    alerts = {rule["alert"] for group in groups("fastnlb.alerts.yml") for rule in group["rules"]}
    tests = yaml.safe_load((RULES / "fastnlb.tests.yml").read_text())["tests"]
    fired = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each["exp_alerts"]}
    assert alerts == fired


@pytest.mark.parametrize("where", [dashboard_expressions, rule_expressions])
def test_every_metric_that_is_asked_for_is_exposed(where: Any) -> None:
    asked = {name for expression in where() for name in EXPRESSION.findall(expression)}
    assert len(asked) > 10
    assert asked <= exposed(), asked - exposed()


def test_every_expression_of_the_dashboard_is_one(tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, window in WINDOWS.items():
        expressions = [each.replace(name, window) for each in expressions]
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_panels_have_ids_and_places_of_their_own() -> None:
    found = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    cells = [
        (x, y)
        for panel in found
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_reasons_that_a_rule_names_are_reasons() -> None:
    named = {
        reason
        for expression in rule_expressions()
        for match in re.findall(r'reason[!=]?[=~]"([^"]*)"', expression)
        for reason in match.split("|")
    }
    assert named
    assert named <= {*FAILURES, "aborted", "timed_out", "shed"}


def test_promtool_is_there() -> None:
    assert shutil.which("promtool"), "Debian: apt-get install prometheus"
