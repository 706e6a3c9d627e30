"""The master with real processes: how it starts its workers and replaces them; the worker is support.tiny_daemon."""

from __future__ import annotations

import os
import signal
import socket
from itertools import pairwise
from pathlib import Path

from support.procs import alive, descriptors, free_port, listening_inodes, wait_for
from support.tiny_client import Start, ask, births, read_answer, workers_of

from fastnlb.procstat import process_state


def ignored_signals(pid: int) -> set[int]:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def pid_in(line: str) -> int:
    return int(line.partition("(pid ")[2].partition(")")[0])


# Start


def test_ready_is_said_once_when_every_worker_has_applied(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hold-applied-1").touch()
    program = start(2, free_port())
    program.wait_line(r".*worker 0 \(pid \d+\) serves")
    assert "ready" not in program.lines()
    assert not (tmp_path / "on-ready").exists()
    (tmp_path / "hold-applied-1").unlink()
    program.wait_line("ready")
    wait_for((tmp_path / "on-ready").exists, "the on_ready callback")
    assert program.lines().count("ready") == 1


def test_every_worker_serves_its_own_row_of_every_listener(start: Start) -> None:
    ports = [free_port(), free_port()]
    program = start(2, *ports)
    program.wait_line("ready")
    for port in ports:
        seen: set[int] = set()
        wait_for(lambda port=port, seen=seen: seen.add(ask(port)[0]) or seen == {0, 1}, f"both workers on {port}")


def test_a_worker_inherits_nothing_but_its_channel_and_its_row(start: Start, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    program = start(2, *ports, TINY_PID_FILE=str(tmp_path / "pid"))
    program.wait_line("ready")
    # One of the two is an heir: when it was forked, the master held more than at the start.
    os.kill(workers_of(program, 2)[0], signal.SIGKILL)
    wait_for(lambda: sum(" serves" in line for line in program.lines()) == 3, "the heir to serve")
    rows = []
    for pid in workers_of(program, 2):
        for_the_master = {
            signal.SIGINT,
            signal.SIGQUIT,
            signal.SIGHUP,
            signal.SIGUSR1,
            signal.SIGUSR2,
            signal.SIGTTIN,
        }
        assert for_the_master <= ignored_signals(pid)
        extra = {what for fd, what in descriptors(pid).items() if fd > 2}
        listeners = {inode for port in ports for inode in listening_inodes(port)} & extra
        assert len(listeners) == 2
        assert len(extra) == 3, f"more than a channel and two listeners: {extra}"
        rows.append(listeners)
    assert not rows[0] & rows[1]


def test_a_refusal_fails_the_start_with_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "refuse").touch()
    port = free_port()
    program = start(2, port)
    assert program.wait_exit() == 1
    said = [line for line in program.lines() if line.startswith("fastnlb: ")]
    assert len(said) == 1
    assert "told to refuse" in said[0]
    assert "ready" not in program.lines()
    assert not listening_inodes(port)


def test_a_worker_that_cannot_boot_fails_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "refuse-boot").touch()
    program = start(1, free_port())
    assert program.wait_exit() == 1
    assert "fastnlb: worker 0 cannot start: exit code 3" in program.lines()
    assert len(births(tmp_path, 0)) == 1, "it was tried again"


def test_a_worker_that_raises_says_why_in_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "raise").touch()
    program = start(1, free_port())
    assert program.wait_exit() == 1
    assert "Traceback" not in program.output()
    last = program.lines()[-1]
    assert last.startswith("fastnlb: worker 0 died 5 times before it could serve: RuntimeError: told to raise")
    assert any("exit code 70" in line for line in program.lines())


def test_an_early_crash_is_survived_by_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "crash-1").touch()
    program = start(2, free_port())
    program.wait_line(r".*worker 1 \(pid \d+\) died: exit code 9.*")
    assert "ready" not in program.lines()
    (tmp_path / "crash-1").unlink()
    program.wait_line("ready")
    assert len(workers_of(program, 2)) == 2


def test_a_snapshot_that_kills_the_workers_fails_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "crash-prepare").touch()
    program = start(2, free_port())
    assert program.wait_exit() == 1
    said = [line for line in program.lines() if line.startswith("fastnlb: ")]
    assert len(said) == 1
    assert said[0].endswith("died 5 times before it could serve: exit code 9")


def test_a_taken_port_cannot_start(start: Start) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        program = start(2, port)
        assert program.wait_exit() == 3
    expected = f"fastnlb: listener l0: cannot listen on 127.0.0.1:{port}: address already in use"
    assert expected in program.lines()
    assert not any("started" in line for line in program.lines()), "forked before the sockets were there"


def test_a_second_master_on_the_same_pid_file_cannot_start(start: Start, tmp_path: Path) -> None:
    pid_file = str(tmp_path / "pid")
    first = start(1, free_port(), TINY_PID_FILE=pid_file)
    first.wait_line("ready")
    second = start(1, free_port(), TINY_PID_FILE=pid_file)
    assert second.wait_exit() == 3
    assert f"process {first.pid} " in second.output()
    assert Path(pid_file).read_text() == f"{first.pid}\n"
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    assert not Path(pid_file).exists()


# Deaths


def test_a_killed_worker_is_replaced_and_its_queue_is_served_by_the_heir(start: Start) -> None:
    port = free_port()
    program = start(1, port)
    program.wait_line("ready")
    (old,) = workers_of(program, 1)
    before = listening_inodes(port)
    os.kill(old, signal.SIGSTOP)
    wait_for(lambda: process_state(old) == "T", "the worker to stop")
    queued = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
    try:
        os.kill(old, signal.SIGKILL)
        program.wait_line(rf".*worker 0 \(pid {old}\) died: SIGKILL.*")
        pids = {read_answer(sock)[1] for sock in queued}
    finally:
        for sock in queued:
            sock.close()
    (heir,) = workers_of(program, 1)
    assert pids == {heir} != {old}
    assert listening_inodes(port) == before
    assert before <= set(descriptors(heir).values())


def test_the_siblings_of_a_killed_worker_are_left_alone(start: Start) -> None:
    program = start(3, free_port())
    program.wait_line("ready")
    pids = workers_of(program, 3)
    os.kill(pids[1], signal.SIGKILL)
    program.wait_line(rf".*worker 1 \(pid {pids[1]}\) died: SIGKILL.*")
    after = workers_of(program, 3)
    assert {pids[0], pids[2]} < set(after)
    assert pids[1] not in after


def test_deaths_leave_no_zombie_and_no_descriptor_behind(start: Start, tmp_path: Path) -> None:
    port = free_port()
    program = start(2, port)
    program.wait_line("ready")
    wait_for((tmp_path / "on-ready").exists, "the start to be over: it opens this file")
    before = len(descriptors(program.pid))
    for round_number in range(1, 4):
        os.kill(workers_of(program, 2)[0], signal.SIGKILL)
        wait_for(
            lambda n=round_number: sum(" serves" in line for line in program.lines()) == 2 + n,
            f"heir {round_number} to serve",
        )
    assert not [pid for pid in workers_of(program, 2) if not alive(pid)]
    assert len(descriptors(program.pid)) == before


def test_a_crash_loop_backs_off(start: Start, tmp_path: Path) -> None:
    program = start(2, free_port())
    program.wait_line("ready")
    victim = pid_in(program.wait_line(r".*worker 0 \(pid \d+\) serves"))
    (tmp_path / "crash-0").touch()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(births(tmp_path, 0)) >= 5, "four heirs that crash")
    first, *crashed = births(tmp_path, 0)
    gaps = [later - earlier for earlier, later in pairwise(crashed)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2
    assert gaps[2] >= 0.4
    assert first < crashed[0]
    assert program.exit_code is None, "a crash loop after the start must not end the daemon"
    (tmp_path / "crash-0").unlink()
    wait_for(
        lambda: sum("worker 0" in line and "serves" in line for line in program.lines()) == 2, "the seat to serve"
    )


def test_a_worker_that_talks_nonsense_is_killed_and_replaced(start: Start, tmp_path: Path) -> None:
    program = start(1, port := free_port())
    program.wait_line("ready")
    (old,) = workers_of(program, 1)
    (tmp_path / "nonsense").touch()
    program.wait_line(rf".*worker 0 \(pid {old}\) broke the control protocol.*: killed")
    program.wait_line(rf".*worker 0 \(pid {old}\) died: .*")
    assert ask(port)[1] != old
