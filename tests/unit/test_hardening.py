"""Memory that may not be dumped: the process itself, what it forks, and what still works in it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from support.procs import PACKAGE_PATH

from fastnlb import hardening

PR_GET_DUMPABLE = 3
NOBODY = 65534

SCRIPT = """
import ctypes, os, resource
from pathlib import Path
from fastnlb.hardening import prctl, protect_memory
from fastnlb.master.process import set_title
if os.getuid() == 0:
    os.setgid({nobody}), os.setuid({nobody})  # root is never refused
prctl(4, 1)  # a change of user took it away
def look():
    dumpable = ctypes.CDLL(None).prctl({get}, 0, 0, 0, 0)
    print(dumpable, *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
look()
protect_memory()
look()
if (child := os.fork()) == 0:
    look()
    os._exit(0)
os.waitpid(child, 0)
set_title("fastnlb:named")
print(Path("/proc/self/comm").read_text().strip(), len(os.listdir("/proc/self/fd")) > 2)
"""


def test_it_and_its_children_are_protected_and_can_still_be_named() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(nobody=NOBODY, get=PR_GET_DUMPABLE)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_PATH)},
    )
    before, *after = ended.stdout.splitlines()
    assert before.startswith("1 "), ended.stderr
    assert after == ["0 0 0", "0 0 0", "fastnlb:named True"], ended.stderr


def test_a_system_that_cannot_is_survived(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(hardening, "prctl", refuse)
    with caplog.at_level("DEBUG"):
        hardening.protect_memory()
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG"]


def test_an_option_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        hardening.prctl(99_999, 0)
