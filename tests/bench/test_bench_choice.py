"""What there is to run, and how it is chosen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("bench._load", reason="the load generator is not built: FASTNLB_BENCH=1")

from bench import cli
from bench.peers import PEERS, Setup, Wish, named
from bench.scenarios import SCENARIOS, chosen
from bench.table import FAMILIES


def test_every_scenario_has_a_name_of_its_own_and_a_known_family() -> None:
    assert len({each.id for each in SCENARIOS}) == len(SCENARIOS)
    assert {each.family for each in SCENARIOS} == set(FAMILIES)
    assert all(re.fullmatch(r"[a-z0-9.-]+", each.id) for each in SCENARIOS)


def test_families_stand_together() -> None:
    order = [each.family for each in SCENARIOS]
    assert sorted(order, key=list(FAMILIES).index) == order


def test_a_quick_run_has_some_of_nearly_every_family() -> None:
    quick = chosen([], quick=True)
    assert 0 < len(quick) < len(chosen([], quick=False)) == len(SCENARIOS)
    assert {"handshakes", "bulk", "messages", "plain", "memory", "latency", "reload"} <= {
        each.family for each in quick
    }


def test_parts_choose_by_family_and_by_name_whether_quick_or_not() -> None:
    assert {each.family for each in chosen(["growth"], quick=True)} == {"growth"}
    assert [each.id for each in chosen(["memory-5000"], quick=True)] == ["memory-5000"]


def test_peers_are_chosen_by_name_and_ours_is_always_there() -> None:
    assert [each.name for each in named("hitch, nginx")] == ["fastnlb", "nginx", "hitch"]
    assert named("") == list(PEERS)


@pytest.mark.parametrize("options", [["--only", "nonsense"], ["--peers", "apache"], ["--rounds", "0"]])
def test_what_does_not_exist_is_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_list_has_every_scenario_and_every_proxy(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(each.id in out for each in SCENARIOS) and all(each.name in out for each in PEERS)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_proxy_is_told_port_origin_and_certificate(peer: object, tmp_path: Path) -> None:
    made = replace(peer, find=lambda: "/bin/true")  # type: ignore[type-var]
    made.prepare(Wish(Setup(), tmp_path, 4001, 4002))  # type: ignore[attr-defined]
    (file,) = tmp_path.glob("4001.*")
    text = file.read_text()
    assert "4001" in text and "4002" in text and "both.pem" in text


@pytest.mark.parametrize("peer", PEERS[1:], ids=lambda peer: peer.name)
def test_what_is_ours_alone_is_refused_by_the_others(peer: object) -> None:
    made = replace(peer, find=lambda: "/bin/true")  # type: ignore[type-var]
    assert made.refuses(Setup(certificates=2))  # type: ignore[attr-defined]
