"""What a run has found: readings of samples, ratios, and the way to a file and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.results import FLOOR, Metric, Results, ResultsError, Row, Sample, Summary, load

COST = Metric("cpu", "us", 1e3)


def row(**costs: list[float]) -> Row:
    """Of a scenario in which one unit costs each proxy so many us, round by round."""
    samples = {name: [Sample(10, 2.0, cpu_ns=10 * 1e3 * each) for each in every] for name, every in costs.items()}
    return Row("one", "family", "title", COST, samples)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (Metric("cpu", "us", 1e3), 0.5),
        (Metric("rate", "/s"), 5.0),
        (Metric("p50", "us"), 3.0),
        (Metric("p99", "us"), 9.0),
        (Metric("memory", "KiB", 1024), 2.0),
        (Metric("failed", "failed"), 1.0),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_a_sample_is_read_by_a_metric(metric: Metric, value: float) -> None:
    sample = Sample(10, 2.0, cpu_ns=5000, p50_us=3, p99_us=9, failed=1, memory=10 * 2048)
    assert metric.value(sample) == value


def test_a_sample_without_work_is_no_value() -> None:
    made = row(fastnlb=[1.0])
    made.samples["fastnlb"].append(Sample(0, 2.0, cpu_ns=7))
    assert made.values("fastnlb") == [1.0]


def test_the_best_peer_is_none_of_ours_and_not_the_floor() -> None:
    made = row(**{"fastnlb": [1, 2, 3], "nginx": [4, 4, 5], "haproxy": [5, 2, 2], FLOOR: [1, 1, 1]})
    assert made.ratio("nginx") == Summary(0.5, 0.25, 0.6)
    assert made.ratio("haproxy") == made.best_ratio() == Summary(1.0, 0.2, 1.5)
    assert made.peers == ["nginx", "haproxy"]


def test_the_best_peer_has_the_most_where_more_is_better() -> None:
    made = row(fastnlb=[1], nginx=[4], haproxy=[5])
    faster = Row("one", "family", "title", Metric("rate", "/s", lower_is_better=False), made.samples)
    faster.samples["nginx"][0] = Sample(1000, 1.0)
    assert faster.best_ratio() == faster.ratio("nginx")


def test_without_a_peer_there_is_no_ratio() -> None:
    assert row(fastnlb=[1]).best_ratio() is None
    assert row(nginx=[1]).best_ratio() is None
    assert row(fastnlb=[1], nginx=[0]).ratio("nginx") is None


def test_noise_is_half_the_spread_by_the_median() -> None:
    assert Summary.of([9, 10, 13]).noise == pytest.approx(0.2)
    assert Summary.of([0, 0, 0]).noise == 0


def test_a_file_has_everything(tmp_path: Path) -> None:
    made = row(fastnlb=[1, 2], nginx=[3, 4])
    made.skipped["hitch"] = "not installed"
    run = Results({"date": "2026-01-01", "versions": {"nginx": "1"}}, [made])
    run.save(tmp_path / "results.json")
    assert load(tmp_path / "results.json") == run


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', '{"format": 1}', '{"format": 1, "rows": [{}]}'])
def test_what_is_no_result_is_refused_in_one_line_with_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"results\.json: ") as refused:
        load(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"nothing\.json"):
        load(tmp_path / "nothing.json")
