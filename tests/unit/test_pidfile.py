"""The pid file against a second start, stale files, pid reuse and forks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.procs import descriptors

from fastnlb.master.pidfile import PidFile, PidFileError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fastnlb.pid"


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_names_us_and_goes_away(path: Path) -> None:
    before = descriptors(os.getpid())
    pid_file = PidFile(path)
    pid_file.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    assert [each.name for each in path.parent.iterdir()] == ["fastnlb.pid"]
    pid_file.release()
    pid_file.release()
    assert list(path.parent.iterdir()) == []
    assert descriptors(os.getpid()) == before


def test_a_second_one_is_refused_and_told_who_has_it(path: Path) -> None:
    first, second = PidFile(path), PidFile(path)
    first.acquire()
    with pytest.raises(PidFileError, match=f"already running as process {os.getpid()} "):
        second.acquire()
    second.release()
    assert path.exists(), "the loser removed the winner's file"
    assert [each.name for each in path.parent.iterdir()] == ["fastnlb.pid"]
    first.release()


def test_a_live_process_counts_although_it_takes_no_lock(path: Path) -> None:
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(PidFileError, match=f"process {os.getppid()} "):
        PidFile(path).acquire()
    assert path.read_text() == f"{os.getppid()}\n"


def test_a_pid_that_was_given_to_another_process_since_is_stale(path: Path) -> None:
    path.write_text(f"{os.getppid()}\n")
    os.utime(path, (0, 0))  # written long before that process began
    pid_file = PidFile(path)
    pid_file.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.release()


@pytest.mark.parametrize("content", [None, "", "garbage", "-5", "0", "9" * 30])
def test_a_stale_file_is_replaced(path: Path, content: str | None) -> None:
    path.write_text(f"{dead_pid()}\n" if content is None else content)
    pid_file = PidFile(path)
    pid_file.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.release()


def test_only_our_own_file_is_removed(path: Path) -> None:
    pid_file = PidFile(path)
    pid_file.acquire()
    path.unlink()
    path.write_text("someone else's")
    pid_file.release()
    assert path.read_text() == "someone else's"


def test_a_forked_child_neither_removes_it_nor_keeps_it_locked(path: Path) -> None:
    pid_file = PidFile(path)
    pid_file.acquire()
    report, ours = os.pipe()
    stay, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        pid_file.release()
        os.write(ours, b"!")
        os.read(stay, 1)  # outlives the parent's lock
        os._exit(0)
    assert os.read(report, 1) == b"!"
    assert path.exists()
    with pytest.raises(PidFileError):
        PidFile(path).acquire()
    pid_file.release()
    heir = PidFile(path)
    heir.acquire()
    heir.release()
    for fd in (report, ours, stay, go):
        os.close(fd)
    os.waitpid(pid, 0)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match=r"cannot write the pid file .*/nowhere/x\.pid: No such file"):
        PidFile(tmp_path / "nowhere" / "x.pid").acquire()


@pytest.mark.parametrize("make", [lambda path: path.write_text("version: 1\n" * 9), os.mkfifo])
def test_what_is_no_pid_file_is_left_alone(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "precious"
    make(path)
    before = path.stat()
    with pytest.raises(PidFileError, match="is no pid file: it is left alone"):
        PidFile(path).acquire()
    assert os.path.samestat(path.stat(), before)
    assert path.stat().st_size == before.st_size


def test_a_link_that_leads_nowhere_is_an_error_and_not_for_ever(path: Path) -> None:
    path.symlink_to(path.parent / "gone" / "fastnlb.pid")
    with pytest.raises(PidFileError, match="leads nowhere"):
        PidFile(path).acquire()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
