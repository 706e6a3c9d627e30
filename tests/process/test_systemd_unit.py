"""The unit file in contrib: systemd understands every line, and finds the service well shut in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "contrib" / "systemd" / "fastnlb.service"
MOST_EXPOSED = 3.0  # of 10, as systemd-analyze counts

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False, env={"LC_ALL": "C"}
    )


def test_every_line_is_understood() -> None:
    said = analyze("verify", "--man=no", str(UNIT))
    ours = [line for line in said.stderr.splitlines() if UNIT.name in line and "is not executable" not in line]
    assert ours == []


def test_the_state_directory_that_it_names_is_one_that_it_may_write() -> None:
    unit = UNIT.read_text()
    (name,) = re.findall(r"--state-dir /var/lib/(\w+)", unit)
    assert f"\nStateDirectory={name}\n" in unit


def test_the_service_is_well_shut_in() -> None:
    judged = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    assert judged.returncode == 0, judged.stderr
    last = next(line for line in reversed(judged.stdout.splitlines()) if "Overall exposure level" in line)
    assert float(last.split(":")[1].split()[0]) <= MOST_EXPOSED, judged.stdout
