"""A real run of a few scenarios with fastnlb alone, and what becomes of processes when it is broken off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.procs import ROOT, wait_for

from bench import procfs
from bench.results import load
from fastnlb.procstat import process_state

pytest.importorskip("bench._load", reason="the load generator is not built: FASTNLB_BENCH=1")
pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two processors are needed")

from bench import runner  # noqa: E402  what follows needs the load generator
from bench.peers import PEERS, Setup  # noqa: E402
from bench.running import Estate, Site  # noqa: E402
from bench.scenario import PER_CONNECTION, QUICK, Effort, Sample, Scenario  # noqa: E402

FASTNLB = PEERS[0]
PARTS = ["handshake-tls1.3-full-ecdsa-x25519", "handshake-tls1.2-resumed", "plain-connection-1", "message-128-1"]


@contextmanager
def bench(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m bench`, ended with the block."""
    command = [sys.executable, "-m", "bench", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def test_a_short_run_leaves_samples_of_every_row_and_a_table(tmp_path: Path) -> None:
    options = ["--rounds", "2", "--seconds", "0.1", "--peers", "fastnlb", "--out", str(tmp_path)]
    with bench("run", "--quick", *options, "--only", *PARTS) as process:
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    results = load(tmp_path / "results.json")
    for row in results.rows:
        assert all(value > 0 for value in row.values("fastnlb")), row
        assert [each.failed for each in row.samples["fastnlb"]] == [0, 0], row
    assert "OpenSSL" in results.about["versions"]["fastnlb"]
    assert (tmp_path / "table.md").read_text().count("\n| ") >= len(PARTS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_broken_off_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    options = ["--seconds", "0.2", "--rounds", "500", "--peers", "fastnlb", "--out", str(tmp_path)]
    with bench("run", *options, "--only", "plain-connection-1") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 2" in line:  # by then the proxy and the origin serve
                break
        members = list(procfs.family(process.pid))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err and "Traceback" not in err
    assert len(members) >= 4  # us, the origin, fastnlb's master and its worker
    wait_for(lambda: all(process_state(each) in ("", "Z") for each in members), "every process to end")


def killed(site: Site, effort: Effort) -> Sample:
    """The proxy dies of the work."""
    os.kill(site.process.pid, signal.SIGKILL)
    wait_for(lambda: not site.process.alive, "the end of the proxy")
    site.processor_ns()
    raise AssertionError("a proxy that is dead has no processor time")


def harmless(site: Site, effort: Effort) -> Sample:
    return Sample(1, 1.0, cpu_ns=site.processor_ns())


def plain(name: str, run: object) -> Scenario:
    return Scenario(name, "trial", name, (PER_CONNECTION,), run, Setup(tls=False))  # type: ignore[arg-type]


def test_a_proxy_that_dies_is_reported_and_the_run_goes_on(tmp_path: Path) -> None:
    scenarios = [plain("good", harmless), plain("bad", killed)]
    (rows,) = runner.measure(scenarios, [FASTNLB], QUICK, tmp_path, lambda line: None)
    good, bad = rows
    assert len(good.values("fastnlb")) == 1
    assert "died with status -9" in good.skipped["fastnlb"] and "died with status -9" in bad.skipped["fastnlb"]
    assert [line.partition(":")[0] for line in runner.failures(rows)] == ["bad/cpu"]


def test_a_proxy_that_cannot_start_is_skipped_with_its_last_words(tmp_path: Path) -> None:
    broken = FASTNLB.__class__("broken", lambda: "/bin/sh", lambda it: "1", lambda wish: ["sh", "-c", "echo no luck"])
    (rows,) = runner.measure([plain("good", harmless)], [FASTNLB, broken], QUICK, tmp_path, lambda line: None)
    assert rows[0].skipped == {"broken": "did not start: no luck"}
    assert len(rows[0].values("fastnlb")) == QUICK.rounds


def test_whoever_is_not_installed_is_skipped_by_name(tmp_path: Path) -> None:
    absent = FASTNLB.__class__("absent", lambda: None, lambda it: "1", lambda wish: [])
    (rows,) = runner.measure([plain("good", harmless)], [absent], QUICK, tmp_path, lambda line: None)
    assert rows[0].skipped == {"absent": "not installed"}


def test_an_estate_ends_what_it_has_started(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Estate(tmp_path) as estate:
        site = estate.site(FASTNLB, Setup())
        members = [*procfs.family(site.process.pid), site.origin.pid]
        assert all(process_state(each) for each in members)
        assert site.resident_bytes() > 1 << 20
    assert all(process_state(each) in ("", "Z") for each in members)
