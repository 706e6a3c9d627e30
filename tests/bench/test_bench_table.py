"""Results as Markdown and as plots."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import charts
from bench.results import FLOOR, Metric, Results, Row, Sample
from bench.table import markdown, number


def results() -> Results:
    costs = {"nginx": [200, 180, 220], "fastnlb": [100, 90, 120], FLOOR: [50, 50, 50]}
    samples = {
        name: [Sample(10, 2.0, cpu_ns=10e3 * each, p50_us=7, p99_us=9) for each in every]
        for name, every in costs.items()
    }
    metric = Metric("cpu", "us", 1e3, item="connection")
    skipped = {"hitch": "not installed"}
    full = Row("handshake-a", "handshakes", "TLS 1.3", metric, samples, skipped)
    other = Row("handshake-b", "handshakes", "hybrid", metric, {"fastnlb": samples["fastnlb"]}, {"nginx": "too old"})
    return Results({"date": "2026-01-02", "commit": "abc", "versions": {"nginx": "1.2"}}, [full, other])


def test_a_row_has_medians_spread_and_ratios() -> None:
    text = markdown(results())
    assert "| work | unit | fastnlb | nginx | library | fastnlb / best peer |" in text
    assert "| TLS 1.3 | us | 100 (90-120) | 200 (180-220) [0.50] | 50 (50-50) [2.00] | 0.50 (0.50-0.55) |" in text
    assert "| hybrid | us | 100 (90-120) | - | - | - |" in text


def test_rate_and_latency_stand_beside_it_without_the_floor() -> None:
    text = markdown(results())
    assert "| rate of connections, p50 / p99 | fastnlb | nginx |" in text
    assert "| TLS 1.3 | 5/s, 7 / 9 us | 5/s, 7 / 9 us |" in text


def test_who_was_skipped_is_named_with_the_reason() -> None:
    text = markdown(results())
    assert "* hitch: not installed (handshake-a)" in text
    assert "* nginx: too old (handshake-b)" in text


def test_failures_stand_in_the_cell() -> None:
    made = results()
    made.rows[1].samples = {"fastnlb": [Sample(10, 2.0, cpu_ns=1e6, failed=3)]}
    assert "100 (100-100), 3 failed" in markdown(made)


def test_a_storm_that_was_not_all_served_says_so_once() -> None:
    sample = Sample(10, 2.0, p50_us=5, p99_us=9, extra={"storm_units": 54, "storm_failed": 46})
    rows = [Row("a", "latency", "storm", Metric(name, "us"), {"fastnlb": [sample]}) for name in ("p99", "p50")]
    text = markdown(Results({}, rows))
    assert "| storm | us | 9 (9-9), 54% of the storm served |" in text
    assert "| storm | us | 5 (5-5) |" in text


def test_the_head_says_where_it_ran() -> None:
    head = markdown(results()).partition("## ")[0]
    assert "2026-01-02" in head and "* commit: abc" in head and "* nginx: 1.2" in head


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (5.0, "5"), (4096.4, "4096")]
)
def test_numbers_have_three_digits_that_mean_something(value: float, text: str) -> None:
    assert number(value) == text


def test_plots_are_one_file_for_each_family_and_unit(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    (path,) = charts.draw(results(), tmp_path)
    assert path.name == "handshakes-us.svg"
    assert "TLS 1.3" in path.read_text()


def test_the_same_results_make_the_same_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    once = charts.draw(results(), tmp_path)[0].read_bytes()
    assert charts.draw(results(), tmp_path)[0].read_bytes() == once


def test_without_matplotlib_nothing_is_drawn_and_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(charts.NoChartsError, match="matplotlib is not installed: skipped"):
        charts.draw(results(), tmp_path)
