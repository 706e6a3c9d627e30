"""The master with real processes: changes of a running daemon, for all workers or for none."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from support.procs import Program, descriptors, free_port, listening_inodes, wait_for
from support.tiny_client import Start, answers, ask, workers_of

from fastnlb.procstat import process_state


def change_to(program: Program, folder: Path, *ports: int) -> None:
    (folder / "next").write_text(" ".join(map(str, ports)))
    program.signal(signal.SIGUSR2)


def test_a_change_adds_and_removes_listeners_and_restarts_nobody(start: Start, tmp_path: Path) -> None:
    kept, removed, added = free_port(), free_port(), free_port()
    program = start(2, kept, removed)
    program.wait_line("ready")
    pids = workers_of(program, 2)
    sockets, count = listening_inodes(kept), len(descriptors(program.pid))
    change_to(program, tmp_path, kept, added)  # l1 moves to another port
    wait_for(lambda: not listening_inodes(removed), "the removed sockets to close")
    assert ask(added)[1] in pids
    assert listening_inodes(kept) == sockets
    assert workers_of(program, 2) == pids
    assert len(descriptors(program.pid)) == count


def test_a_refused_change_leaves_everything_as_it_was(start: Start, tmp_path: Path) -> None:
    kept, added = free_port(), free_port()
    program = start(2, kept)
    program.wait_line("ready")
    pids, count = workers_of(program, 2), len(descriptors(program.pid))
    (tmp_path / "refuse").touch()
    change_to(program, tmp_path, kept, added)
    program.wait_line(".*change was refused.*told to refuse")
    wait_for(lambda: not listening_inodes(added), "the staged sockets to close everywhere")
    assert ask(kept)[1] in pids
    assert len(descriptors(program.pid)) == count
    (tmp_path / "refuse").unlink()
    change_to(program, tmp_path, kept, added)
    wait_for(lambda: answers(added), "the same change, accepted")
    assert workers_of(program, 2) == pids


def test_a_change_that_cannot_listen_changes_nothing(start: Start, tmp_path: Path) -> None:
    kept = free_port()
    program = start(1, kept)
    program.wait_line("ready")
    with socket.create_server(("127.0.0.1", 0)) as other:
        change_to(program, tmp_path, kept, free_port(), other.getsockname()[1])
        program.wait_line(".*not applied: listener l2: cannot listen.*")
    assert answers(kept)


def test_an_heir_of_a_changed_daemon_serves_the_new_state(start: Start, tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    program = start(1, first)
    program.wait_line("ready")
    change_to(program, tmp_path, first, second)
    wait_for(lambda: answers(second), "the change")
    (old,) = workers_of(program, 1)
    os.kill(old, signal.SIGKILL)
    program.wait_line(rf".*worker 0 \(pid {old}\) died: SIGKILL.*")
    assert ask(first)[1] == ask(second)[1] != old


def test_a_worker_that_dies_in_a_change_does_not_fail_it(start: Start, tmp_path: Path) -> None:
    kept, added = free_port(), free_port()
    program = start(2, kept)
    program.wait_line("ready")
    pids = workers_of(program, 2)
    os.kill(pids[0], signal.SIGSTOP)
    wait_for(lambda: process_state(pids[0]) == "T", "a worker that does not answer")
    change_to(program, tmp_path, kept, added)
    wait_for(lambda: len(listening_inodes(added)) == 2, "the change to begin")
    os.kill(pids[0], signal.SIGKILL)
    seen: set[int] = set()
    wait_for(lambda: seen.add(ask(added)[0]) or seen == {0, 1}, "both seats on the added listener")
    assert pids[1] in workers_of(program, 2)
