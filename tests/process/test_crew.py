"""One worker more, one fewer, and one that does not answer: the master with tiny workers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from support.procs import Program, alive, descriptors, free_port, listening_inodes, process_name, wait_for
from support.tiny_client import Start, answers, ask, births, workers_of

ASKED = 40  # often enough to meet every one of three workers


def resize(program: Program, number: signal.Signals, count: int, *ports: int) -> list[int]:
    program.signal(number)
    pids = workers_of(program, count)
    wait_for(lambda: all(len(listening_inodes(port)) == count for port in ports), f"{count} sockets on each port")
    return pids


def answering(port: int) -> set[int]:
    """The pids of those who answer."""
    return {ask(port)[1] for _ in range(ASKED)}


def test_workers_come_and_go(start: Start) -> None:
    program = start(1, one := free_port(), two := free_port())
    program.wait_line("ready")
    count = len(descriptors(program.pid))
    resize(program, signal.SIGTTIN, 2, one, two)
    pids = resize(program, signal.SIGTTIN, 3, one, two)
    assert [process_name(pid) for pid in pids] == ["fastnlb:w0", "fastnlb:w1", "fastnlb:w2"]
    wait_for(lambda: answering(one) == answering(two) == set(pids), "each of them to answer")
    assert resize(program, signal.SIGTTOU, 2, one, two) == pids[:2]
    assert answering(one) == set(pids[:2])
    resize(program, signal.SIGTTOU, 1, one, two)
    assert answering(two) == set(pids[:1])
    assert len(descriptors(program.pid)) == count


def test_the_last_one_stays(start: Start) -> None:
    program = start(1, port := free_port())
    program.wait_line("ready")
    program.signal(signal.SIGTTOU)
    program.wait_line("ERROR workers: 1 -> 0: there is at least one; still 1")
    assert answers(port)


def test_one_that_drains_is_not_waited_for_nor_restarted(start: Start, tmp_path: Path) -> None:
    program = start(2, port := free_port())
    program.wait_line("ready")
    (tmp_path / "hold-drain").touch()
    old = workers_of(program, 2)[1]
    program.signal(signal.SIGTTOU)
    program.wait_line("INFO worker 1 is retired: .*")
    program.signal(signal.SIGTTIN)
    first, drains, new = workers_of(program, 3)
    assert drains == old
    wait_for(lambda: answering(port) == {first, new}, "the new one to answer")
    os.kill(drains, signal.SIGKILL)
    program.wait_line(rf"WARNING worker 1 \(pid {drains}\) ended: SIGKILL")
    assert workers_of(program, 2) == [first, new]
    assert len(births(tmp_path, 1)) == 2


def test_one_that_does_not_drain_is_killed(start: Start, tmp_path: Path) -> None:
    program = start(2, port := free_port(), TINY_SHUTDOWN_TIMEOUT="0")
    program.wait_line("ready")
    (tmp_path / "deaf").touch()
    kept, _ = workers_of(program, 2)
    program.signal(signal.SIGTTOU)
    program.wait_line(r"ERROR worker 1 \(pid \d+\) did not end in time: killed")
    assert workers_of(program, 1) == [kept]
    wait_for(lambda: len(listening_inodes(port)) == 1, "its socket to close")
    assert answering(port) == {kept}


def test_those_that_drain_end_with_the_daemon(start: Start, tmp_path: Path) -> None:
    program = start(2, free_port())
    program.wait_line("ready")
    (tmp_path / "hold-drain").touch()
    pids = workers_of(program, 2)
    program.signal(signal.SIGTTOU)
    program.wait_line("INFO worker 1 is retired: .*")
    program.signal(signal.SIGINT)
    assert program.wait_exit(5) == 0
    assert not any(map(alive, pids))


def test_changes_are_for_those_that_stay(start: Start, tmp_path: Path) -> None:
    program = start(2, kept := free_port())
    program.wait_line("ready")
    (tmp_path / "hold-drain").touch()
    program.signal(signal.SIGTTOU)
    program.wait_line("INFO worker 1 is retired: .*")
    (tmp_path / "next").write_text(f"{kept} {(added := free_port())}")
    program.signal(signal.SIGUSR2)
    wait_for(lambda: answers(added), "the change")
    assert len(listening_inodes(added)) == 1
    program.signal(signal.SIGTTIN)
    wait_for(lambda: len(answering(added)) == len(answering(kept)) == 2, "the new one to serve both")


def test_a_signal_during_a_change_is_for_afterwards(start: Start, tmp_path: Path) -> None:
    program = start(2, kept := free_port())
    program.wait_line("ready")
    (tmp_path / "hold-applied-1").touch()
    (tmp_path / "next").write_text(f"{kept} {(added := free_port())}")
    program.signal(signal.SIGUSR2)
    wait_for(lambda: listening_inodes(added), "the change to begin")
    program.signal(signal.SIGTTOU)
    program.wait_line("INFO workers: 2 -> 1")
    assert len(workers_of(program, 2)) == 2
    (tmp_path / "hold-applied-1").unlink()
    workers_of(program, 1)
    wait_for(lambda: len(listening_inodes(kept)) == len(listening_inodes(added)) == 1, "one socket on each port")
    assert answers(added)


def crash_loop(start: Start, tmp_path: Path) -> tuple[Program, int, int]:
    """The program, its port, and the one worker of two that does not die again and again."""
    program = start(2, port := free_port())
    program.wait_line("ready")
    kept, victim = workers_of(program, 2)
    (tmp_path / "crash-1").touch()
    os.kill(victim, signal.SIGKILL)
    return program, port, kept


def test_a_seat_in_a_crash_loop_gets_no_new_connections(start: Start, tmp_path: Path) -> None:
    _, port, kept = crash_loop(start, tmp_path)
    wait_for(lambda: len(births(tmp_path, 1)) > 3, "the loop")
    assert answering(port) == {kept}
    (tmp_path / "crash-1").unlink()
    wait_for(lambda: len(answering(port)) == 2, "its share to come back")


def test_a_seat_in_a_crash_loop_can_be_closed(start: Start, tmp_path: Path) -> None:
    program, port, kept = crash_loop(start, tmp_path)
    program.signal(signal.SIGTTOU)
    program.wait_line("INFO worker 1 is retired: .*")
    wait_for(lambda: len(listening_inodes(port)) == 1, "its socket to close")
    assert answering(port) == {kept}
    assert workers_of(program, 1) == [kept]


def test_one_that_does_not_answer_is_replaced_and_the_change_goes_on(start: Start, tmp_path: Path) -> None:
    program = start(2, kept := free_port(), TINY_PATIENCE="0.5")
    program.wait_line("ready")
    _, hung = workers_of(program, 2)
    os.kill(hung, signal.SIGSTOP)
    (tmp_path / "next").write_text(f"{kept} {(added := free_port())}")
    program.signal(signal.SIGUSR2)
    program.wait_line(rf"ERROR worker 1 \(pid {hung}\) does not answer: killed")
    wait_for(lambda: len(answering(added)) == 2, "the change, in both")
    assert hung not in workers_of(program, 2)


def test_one_that_does_not_begin_with_a_change_is_replaced(start: Start, tmp_path: Path) -> None:
    program = start(2, kept := free_port(), TINY_PATIENCE="0.5")
    program.wait_line("ready")
    _, hung = workers_of(program, 2)
    (tmp_path / "hold-applied-1").touch()
    (tmp_path / "next").write_text(f"{kept} {(added := free_port())}")
    program.signal(signal.SIGUSR2)
    program.wait_line(rf"ERROR worker 1 \(pid {hung}\) does not answer: killed")
    (tmp_path / "hold-applied-1").unlink()
    wait_for(lambda: len(answering(added)) == 2, "the change, in both")
