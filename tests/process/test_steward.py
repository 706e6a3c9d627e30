"""The master and its control process: proposals and their outcomes, with the tiny worker and control of support."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.procs import Program, children, free_port, listening_inodes, wait_for

from fastnlb.procstat import process_state


class Tiny:
    """A tiny daemon with two workers and control."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        arguments = ["-m", "support.tiny_daemon", str(folder), "2", str(self.port)]
        self.program = Program(arguments, folder / "stderr", {"TINY_CONTROL": "1"})
        self.program.wait_line("ready")
        self.wait_told(f"current {self.port}")

    def told(self) -> list[str]:
        path = self.folder / "told"
        return path.read_text().splitlines() if path.exists() else []

    def wait_told(self, line: str, times: int = 1) -> None:
        try:
            wait_for(lambda: self.told().count(line) == times, f"control to be told {line!r} {times} times")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}\n{self.program.output()}") from None

    def propose(self, *ports: int) -> None:
        (self.folder / "next").write_text(" ".join(map(str, ports)))
        self.program.signal(signal.SIGHUP)

    def pids(self) -> list[int]:
        """Workers and control."""
        wait_for(lambda: len(children(self.program.pid)) == 3, "three children")
        return children(self.program.pid)

    def pid_of(self, name: str) -> int:
        lines = [line for line in self.program.lines() if f"{name} started" in line]
        return int(lines[-1].partition("(pid ")[2].partition(")")[0])


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    made = Tiny(tmp_path)
    yield made
    made.program.kill()


def test_a_proposal_is_applied_and_its_author_told(tiny: Tiny) -> None:
    added = free_port()
    tiny.propose(tiny.port, added)
    tiny.wait_told("outcome 1 True ")
    assert listening_inodes(added)
    told = tiny.told()
    assert told.index(f"current {tiny.port} {added}") < told.index("outcome 1 True "), "its cells come too late"


def test_what_a_worker_refuses_is_refused(tiny: Tiny) -> None:
    (tiny.folder / "refuse").touch()
    added = free_port()
    tiny.propose(tiny.port, added)
    wait_for(lambda: any(line.startswith("outcome 1 False worker") for line in tiny.told()), "the refusal")
    assert tiny.told()[-1].endswith("told to refuse")
    tiny.program.wait_line(".*the change was refused, nothing has changed: worker .*told to refuse")
    (tiny.folder / "refuse").unlink()
    tiny.propose(tiny.port, added)
    tiny.wait_told("outcome 2 True ")


def test_what_cannot_be_opened_is_refused(tiny: Tiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        tiny.propose(tiny.port, taken)
        tiny.wait_told(f"outcome 1 False listener l1: cannot listen on 127.0.0.1:{taken}: address already in use")


def test_of_those_that_wait_for_a_change_the_newest_is_applied(tiny: Tiny) -> None:
    (tiny.folder / "hold-applied-0").touch()
    first, second, third = free_port(), free_port(), free_port()
    tiny.propose(tiny.port, first)
    wait_for(lambda: listening_inodes(first), "the first change to begin")
    tiny.propose(tiny.port, second)
    tiny.wait_told("proposed 2")
    tiny.propose(tiny.port, third)
    tiny.wait_told("outcome 2 False a newer proposal came before its turn")
    (tiny.folder / "hold-applied-0").unlink()
    tiny.wait_told("outcome 1 True ")
    tiny.wait_told("outcome 3 True ")
    assert listening_inodes(third)
    assert not listening_inodes(second)


def test_the_heir_of_an_author_learns_what_became_of_it(tiny: Tiny) -> None:
    """Not before it is decided: what it proposed in between would be a step behind."""
    (tiny.folder / "hold-applied-0").touch()
    added = free_port()
    tiny.propose(tiny.port, added)
    wait_for(lambda: listening_inodes(added), "the change to begin")
    tiny.wait_told("proposed 1")
    dead = tiny.pid_of("control")
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: tiny.pid_of("control") != dead, "the heir")
    (tiny.folder / "hold-applied-0").unlink()
    tiny.wait_told(f"current {tiny.port} {added}")
    assert tiny.told().count(f"current {tiny.port}") == 1
    assert "outcome 1 True " not in tiny.told()


def test_a_change_that_nobody_proposed_is_told_too(tiny: Tiny) -> None:
    added = free_port()
    (tiny.folder / "next").write_text(f"{tiny.port} {added}")
    tiny.program.signal(signal.SIGUSR2)
    tiny.wait_told(f"current {tiny.port} {added}")


def test_a_worker_that_speaks_as_control_is_killed(tiny: Tiny) -> None:
    before = tiny.pids()
    (tiny.folder / "impostor").touch()
    tiny.program.wait_line(r".*worker \d \(pid \d+\) sent a reloaded frame, which is not for it to send: killed")
    wait_for(lambda: set(before) - set(tiny.pids()), "its heir")  # both may have seen the file
    assert tiny.pid_of("control") in before


def test_control_that_speaks_as_a_worker_is_killed_and_the_request_survives(tiny: Tiny) -> None:
    before = tiny.pids()
    dead = tiny.pid_of("control")
    (tiny.folder / "control-impostor").touch()
    added = free_port()
    tiny.propose(tiny.port, added)
    tiny.program.wait_line(rf".*control \(pid {dead}\) sent a prepared frame, which is not for it to send: killed")
    tiny.wait_told("outcome 1 True ")
    assert set(before) - set(tiny.pids()) == {dead}
    assert listening_inodes(added)


def test_control_that_dies_again_and_again_is_not_forked_without_a_rest(tiny: Tiny) -> None:
    for _ in range(4):
        dead = tiny.pid_of("control")
        os.kill(dead, signal.SIGKILL)
        wait_for(lambda dead=dead: tiny.pid_of("control") != dead, "its heir")
    rests = [line.rpartition(" in ")[2] for line in tiny.program.lines() if "control (pid" in line and "died" in line]
    assert rests == ["0.1 s", "0.2 s", "0.4 s", "0.8 s"]


def test_proposals_during_the_end_are_ignored(tiny: Tiny) -> None:
    (tiny.folder / "hold-drain").touch()
    pids = tiny.pids()
    tiny.program.signal(signal.SIGTERM)
    wait_for(lambda: not process_state(tiny.pid_of("control")), "control to leave, whoever still drains")
    tiny.propose(tiny.port, added := free_port())
    tiny.program.wait_line(".*signal HUP.*ignored")
    (tiny.folder / "hold-drain").unlink()
    assert tiny.program.wait_exit() == 0
    assert not listening_inodes(added)
    assert not any(map(process_state, pids))
