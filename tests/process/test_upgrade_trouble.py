"""Hot restarts that come to nothing, and what else may happen while one is under way: the old process serves on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.closed_loop import closed_loop
from support.lineage import Lineage
from support.procs import alive, children, free_port, process_name, taken_port, wait_for
from support.site import connection, serves

# Nothing comes of it


@pytest.mark.parametrize("mistake", ["port: 0", "no yaml: ["])
def test_a_bad_configuration_leaves_the_old_process_serving(line: Lineage, mistake: str) -> None:
    port = line.serve()
    old = line.master
    line.file.write_text(line.file.read_text() + f"  - {{name: bad, protocol: TCP, {mistake}}}\n")
    with closed_loop(port) as load:
        load.wait_more(20)
        failed = line.tell("upgrade")
        load.wait_more(20)
    assert load.failures == []
    assert failed.returncode == 1
    assert f"hot restart failed, process {old} goes on: " in failed.stderr
    assert str(line.file) in failed.stderr
    assert (line.master, line.status()["pid"]) == (old, old)


def test_a_port_that_the_successor_cannot_have_leaves_the_old_process_serving(line: Lineage) -> None:
    port = line.serve()
    with taken_port() as taken:
        line.write(port, taken, head=line.head)
        failed = line.tell("upgrade")
    assert failed.returncode == 1
    assert f"cannot listen on 127.0.0.1:{taken}: address already in use" in failed.stderr
    assert serves(port)
    line.write(port, head=line.head)
    line.upgrade()


def test_a_successor_that_dies_is_named_and_forgotten(line: Lineage) -> None:
    port = line.serve()
    old = line.master
    with line_begins(line) as asking:
        os.kill(successor_of(line), signal.SIGKILL)
        _, said = asking.communicate(timeout=30)
    assert asking.returncode == 1
    assert f"hot restart failed, process {old} goes on: SIGKILL" in said
    assert serves(port)
    line.write(port, head=line.head)
    line.upgrade()


def test_a_program_that_cannot_be_started_any_more_is_no_harm(line: Lineage) -> None:
    port = line.serve()
    line.file.unlink()
    failed = line.tell("upgrade")
    assert failed.returncode == 1
    assert "cannot read: No such file or directory" in failed.stderr
    assert serves(port)


# What else may happen meanwhile


@contextmanager
def line_begins(line: Lineage) -> Iterator[subprocess.Popen[str]]:
    """A hot restart whose successor waits for its configuration, for the length of the block."""
    line.file.unlink()
    os.mkfifo(line.file)
    with line.begin("upgrade") as asking:
        try:
            successor_of(line)
            yield asking
        finally:
            asking.kill()
            line.file.unlink(missing_ok=True)


def successor_of(line: Lineage) -> int:
    """The process that is on its way: a child of the master that is none of its own making."""

    def look() -> int | None:
        names = {pid: process_name(pid) for pid in children(line.master)}
        return next((pid for pid, name in names.items() if not name.startswith("fastnlb:")), None)

    return wait_for(look, "a successor")


def feed(line: Lineage, text: str) -> None:
    """What waits for its configuration gets this one, and finds it in its place ever after."""
    with line.file.open("w") as pipe:
        line.file.unlink()
        line.file.write_text(text)
        pipe.write(text)


def test_a_reload_asked_for_meanwhile_is_done_by_the_successor(line: Lineage) -> None:
    first, second = free_port(), free_port()
    line.write(first, head=line.head)
    text = line.file.read_text()
    line.start()
    with line_begins(line) as asking, closed_loop(first) as load:
        line.running.signal(signal.SIGHUP)
        line.running.signal(signal.SIGHUP)
        refused = line.tell("reload")
        assert "a hot restart is under way" in refused.stderr
        feed(line, text)
        line.write(first, second, head=line.head)
        assert asking.wait(30) == 0
        wait_for(lambda: serves(second), "the reload")
        load.wait_more(20)
    assert load.failures == []


def test_a_reload_asked_for_meanwhile_is_done_by_the_old_process_when_nothing_comes_of_it(line: Lineage) -> None:
    first, second = free_port(), free_port()
    line.write(first, head=line.head)
    line.start()
    old = line.master
    with line_begins(line):
        line.running.signal(signal.SIGHUP)
        pid = successor_of(line)
        line.file.unlink()
        line.write(first, second, head=line.head)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: serves(second), "the reload")
    assert line.master == old


def test_the_end_of_the_old_process_is_the_end_of_the_attempt(line: Lineage) -> None:
    port = line.serve()
    with line_begins(line):
        pid = successor_of(line)
        line.running.signal(signal.SIGTERM)
        assert line.running.wait_exit() == 0
        wait_for(lambda: not alive(pid), "the successor to end")
    assert not serves(port)


def test_the_death_of_the_old_process_makes_its_successor_master(line: Lineage) -> None:
    port = free_port()
    line.write(port, head=line.head)
    text = line.file.read_text()
    line.start()
    with line_begins(line):
        pid = successor_of(line)
        line.running.signal(signal.SIGKILL)
        line.running.wait_exit()
        feed(line, text)
        wait_for(lambda: line.master == pid, "the pid file to name it")
        wait_for(lambda: serves(port), "the port")
    assert line.status()["pid"] == pid


def test_the_death_of_the_old_process_while_it_drains_is_no_harm(line: Lineage) -> None:
    port = line.serve()
    old = line.master
    with connection(port), closed_loop(port) as load:
        new = line.upgrade()
        os.kill(old, signal.SIGKILL)
        load.wait_more(50)
        wait_for(lambda: line.status()["draining"] == [], "it to be forgotten")
    assert load.failures == []
    assert line.status()["pid"] == new
