"""Two runs: what is a difference, and what is noise; by the command line as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import cli
from bench.compare import BETTER, SAME, WORSE, compare, only_in
from bench.results import Metric, Results, Row, Sample


def run(name: str = "one", metric: str = "cpu", **values: list[float]) -> Results:
    lower = metric != "rate"
    samples = {
        proxy: [Sample(each, 1.0) if metric == "rate" else Sample(1, 1.0, cpu_ns=each) for each in every]
        for proxy, every in values.items()
    }
    return Results({}, [Row(name, "family", name, Metric(metric, "ns", lower_is_better=lower), samples)])


def verdict(first: Results, second: Results, against: str | None = None) -> str:
    return compare(first, second, against)[0].verdict


def test_less_is_better_and_more_is_worse() -> None:
    assert verdict(run(fastnlb=[100, 101, 102]), run(fastnlb=[80, 81, 82])) == BETTER
    assert verdict(run(fastnlb=[100, 101, 102]), run(fastnlb=[120, 121, 122])) == WORSE


def test_of_a_rate_more_is_better() -> None:
    assert verdict(run(metric="rate", fastnlb=[100]), run(metric="rate", fastnlb=[120])) == BETTER


@pytest.mark.parametrize("swap", [False, True])
def test_the_spread_of_either_run_is_noise(swap: bool) -> None:
    steady, restless = run(fastnlb=[100, 101, 102]), run(fastnlb=[70, 110, 150])
    assert verdict(*((restless, steady) if swap else (steady, restless))) == SAME


def test_even_steady_rounds_do_not_make_two_percent_a_difference() -> None:
    assert verdict(run(fastnlb=[100, 100]), run(fastnlb=[102, 102])) == SAME


def test_something_from_nothing_is_worse() -> None:
    assert verdict(run(fastnlb=[0, 0]), run(fastnlb=[3, 3])) == WORSE
    assert verdict(run(fastnlb=[0, 0]), run(fastnlb=[0, 0])) == SAME


def test_against_a_peer_a_machine_that_is_slower_for_both_is_no_difference() -> None:
    before = run(fastnlb=[100, 150, 200], nginx=[200, 300, 400])
    after = run(fastnlb=[300, 310, 290], nginx=[600, 620, 580])
    assert verdict(before, after) == WORSE
    assert verdict(before, after, against="nginx") == SAME


def test_what_a_peer_that_is_the_same_has_changed_by_is_noise() -> None:
    before, after = run(fastnlb=[100], nginx=[200]), run(fastnlb=[120], nginx=[250])
    before.about = after.about = {"versions": {"nginx": "1.22"}}
    assert verdict(before, after) == SAME
    after.about = {"versions": {"nginx": "1.24"}}
    assert verdict(before, after) == WORSE


def test_rows_that_only_one_run_has_are_not_compared() -> None:
    first, second = run("one", fastnlb=[1]), run("two", fastnlb=[1])
    assert compare(first, second) == []
    assert only_in(first, second) == ["one/cpu"]


def test_a_row_that_fastnlb_has_no_sample_of_is_not_compared() -> None:
    assert compare(run(nginx=[1]), run(fastnlb=[1])) == []


def test_the_command_says_it_and_its_status_when_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    run(fastnlb=[100, 101]).save(before)
    run(fastnlb=[150, 151]).save(after)
    assert cli.main(["compare", str(before), str(after)]) == 0
    assert "+49.8%" in (said := capsys.readouterr().out) and WORSE in said
    assert cli.main(["compare", "--strict", str(before), str(after)]) == 1
    assert cli.main(["compare", "--strict", str(after), str(before)]) == 0


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "none.json")
    assert cli.main(["compare", missing, missing]) == 3
    assert capsys.readouterr().err.count("\n") == 1
