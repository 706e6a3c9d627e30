"""Starts under bad conditions: closed streams, blocked signals, low limits, no processes, two at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.procs import PACKAGE_PATH, Program, free_port, wait_for

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE_PATH)}
PLAIN = ["--server", "127.0.0.1:9", "--protocol", "TCP", "--workers", "1"]


def quick(port: int) -> list[str]:
    return ["-m", "fastnlb", "quick", "--listen", f"127.0.0.1:{port}", *PLAIN]


def shell(script: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """`script` with the program as "$@", to its end."""
    command = ["sh", "-c", script, "sh", sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=ENVIRONMENT)


def under(script: str, arguments: Sequence[str], output: Path) -> Program:
    """The program started by a shell that runs `script`, which ends in `exec "$@"`."""
    command = ["sh", "-c", script, "sh", sys.executable, *arguments]
    return Program(["-c", f"import os; os.execvp('sh', {command!r})"], output)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_closed_standard_streams_are_no_obstacle(tmp_path: Path, closed: str) -> None:
    running = under(f'exec "$@" {closed}', quick(free_port()), tmp_path / "output")
    try:
        running.wait_line("ready")
        running.signal(signal.SIGTERM)
        assert running.wait_exit() == 0
    finally:
        running.kill()


def test_a_command_without_any_stream_still_says_its_exit_code(tmp_path: Path) -> None:
    ended = shell('"$@" <&- >&- 2>&-', ["-m", "fastnlb", "check", "-c", str(tmp_path / "none.yaml")])
    assert ended.returncode == 1


def test_signals_that_were_blocked_at_start_are_taken_all_the_same(tmp_path: Path) -> None:
    blocked = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        running = Program(quick(free_port()), tmp_path / "output")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        running.wait_line("ready")
        running.signal(signal.SIGTERM)
        assert running.wait_exit() == 0
    finally:
        running.kill()


def test_a_limit_that_leaves_no_room_for_connections_is_refused_with_the_number_needed() -> None:
    ended = shell('ulimit -n 32; exec "$@"', quick(free_port()))
    assert ended.returncode == 3
    assert (
        "the limit of 32 open files is too low for 1 workers and 1 listeners: it must be 41 or more" in ended.stderr
    )
    assert "Traceback" not in ended.stderr


def test_the_least_limit_that_is_taken_serves(tmp_path: Path) -> None:
    running = under('ulimit -n 41; exec "$@"', quick(free_port()), tmp_path / "output")
    try:
        running.wait_line("ready")
    finally:
        running.kill()


def test_a_start_that_cannot_fork_fails(tmp_path: Path) -> None:
    program = (
        "import errno, sys; from fastnlb.master import fleet\n"
        "def spawn(*_): raise OSError(errno.EAGAIN, 'Resource temporarily unavailable')\n"
        f"fleet.spawn = spawn; sys.argv = ['fastnlb', *{quick(free_port())[2:]!r}]\n"
        "from fastnlb.cli.main import run; run()"
    )
    running = Program(["-c", program], tmp_path / "output")
    try:
        assert running.wait_exit() == 3
    finally:
        running.kill()
    assert "fastnlb: cannot fork worker 0: Resource temporarily unavailable" in running.lines()


def test_of_two_that_start_at_once_on_one_port_one_serves(tmp_path: Path) -> None:
    port = free_port()
    pair = [Program(quick(port), tmp_path / f"output{number}") for number in range(2)]
    try:
        for one in pair:
            wait_for(lambda one=one: "ready" in one.lines() or one.exit_code is not None, "a decision")
        codes = [one.exit_code for one in pair]
        assert sorted(codes, key=str) == [3, None], [one.output() for one in pair]
    finally:
        for one in pair:
            one.kill()


def test_impatience_changes_neither_the_exit_code_nor_the_output(tmp_path: Path) -> None:
    running = Program(quick(free_port()), tmp_path / "output")
    try:
        running.wait_line("ready")
        while running.exit_code is None:
            running.signal(signal.SIGINT)
        assert running.exit_code == 0
    finally:
        running.kill()
    assert "Traceback" not in running.output()
