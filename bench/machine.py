"""What a run has to say of where it ran: date, commit, processor, kernel and versions."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cryptography
from cryptography.hazmat.backends.openssl import backend

import fastnlb

ROOT = Path(__file__).resolve().parents[1]


def about(versions: dict[str, str]) -> dict[str, Any]:
    """`versions` are those of the peers."""
    library = f"{backend.openssl_version_text()}, cryptography {cryptography.__version__}"
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "processor": _processor(),
        "processors": os.cpu_count() or 1,
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {"fastnlb": f"{fastnlb.__version__} with {library}", **versions},
    }


def commit() -> str:
    """The commit of the tree, marked when the tree has changes; empty without git."""
    found = output(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"])
    return "" if "fatal" in found else found


def output(command: Sequence[str]) -> str:
    """What a short command says on either stream; empty when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip()


def _processor() -> str:
    for each in Path("/proc/cpuinfo").read_text().splitlines():
        if each.startswith("model name"):
            return each.partition(":")[2].strip()
    return platform.machine()
