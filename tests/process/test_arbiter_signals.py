"""The master with real processes: what signals make it do, and that its workers never outlive it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support.procs import alive, free_port, listening_inodes, wait_for
from support.tiny_client import Start, ask, workers_of

from fastnlb.procstat import process_state


def test_term_drains_then_exits_without_leftovers(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hold-drain").touch()
    port = free_port()
    program = start(2, port)
    program.wait_line("ready")
    pids = workers_of(program, 2)
    program.signal(signal.SIGTERM)
    wait_for(lambda: not listening_inodes(port), "every copy of the listening sockets to close")
    program.signal(signal.SIGTERM)
    program.signal(signal.SIGQUIT)
    program.signal(signal.SIGHUP)
    program.wait_line(".*signal HUP.*ignored")  # the others were read before it
    assert all(map(alive, pids)), "a second TERM must not cut the drain short"
    assert sum("draining" in line for line in program.lines()) == 1
    (tmp_path / "hold-drain").unlink()
    assert program.wait_exit() == 0
    assert not any(map(process_state, pids))


def test_a_drain_replaces_nobody(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hold-drain").touch()
    program = start(2, port := free_port())
    program.wait_line("ready")
    pids = workers_of(program, 2)
    program.signal(signal.SIGTERM)
    wait_for(lambda: not listening_inodes(port), "the drain to begin")
    os.kill(pids[0], signal.SIGKILL)
    program.wait_line(rf".*worker \d \(pid {pids[0]}\) ended: SIGKILL")
    (tmp_path / "hold-drain").unlink()
    assert program.wait_exit() == 0
    assert len((tmp_path / "births").read_text().splitlines()) == 2


def test_a_drain_that_takes_too_long_is_cut(start: Start, tmp_path: Path) -> None:
    (tmp_path / "deaf").touch()
    program = start(1, free_port(), TINY_SHUTDOWN_TIMEOUT="0")
    program.wait_line("ready")
    pids = workers_of(program, 1)
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    assert "did not end in time: killed" in program.output()
    assert not any(map(process_state, pids))


@pytest.mark.parametrize("draining", [False, True])
def test_int_ends_at_once(start: Start, tmp_path: Path, draining: bool) -> None:
    (tmp_path / "hold-drain").touch()
    program = start(2, port := free_port())
    program.wait_line("ready")
    pids = workers_of(program, 2)
    if draining:
        program.signal(signal.SIGTERM)
        wait_for(lambda: not listening_inodes(port), "the drain to begin")
    program.interrupt_group()
    assert program.wait_exit(5) == 0
    assert not any(map(process_state, pids))
    assert "Traceback" not in program.output()
    assert "KeyboardInterrupt" not in program.output()


def test_int_kills_who_does_not_listen(start: Start, tmp_path: Path) -> None:
    (tmp_path / "deaf").touch()
    program = start(2, free_port())
    program.wait_line("ready")
    pids = workers_of(program, 2)
    program.signal(signal.SIGINT)
    assert program.wait_exit(5) == 0
    assert not any(map(process_state, pids))


def test_usr1_without_an_access_log_is_logged_and_survived(start: Start) -> None:
    program = start(1, port := free_port())
    program.wait_line("ready")
    pids = workers_of(program, 1)
    os.killpg(program.pid, signal.SIGUSR1)
    program.wait_line("INFO there is no access log to open anew")
    assert ask(port)[1] == pids[0]


def test_the_workers_of_a_killed_master_end(start: Start) -> None:
    program = start(2, port := free_port())
    program.wait_line("ready")
    pids = workers_of(program, 2)
    program.signal(signal.SIGKILL)
    program.wait_exit()
    wait_for(lambda: not any(map(alive, pids)), "the workers to see the end of their channels")
    assert not listening_inodes(port), "something else still holds the sockets"
