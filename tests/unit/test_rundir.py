"""Where daemons of this user keep their sockets, and how commands find them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fastnlb.cli.rundir import RunDirError, claim, find


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "fastnlb"


def a_dead_process() -> int:
    gone = subprocess.Popen(["true"])
    gone.wait()
    return gone.pid


def test_a_daemon_without_a_run_dir_has_one_of_its_own_and_leaves_nothing(base: Path) -> None:
    mine = claim(None)
    assert mine.path == base / f"{os.getpid()}.d"
    assert mine.path.stat().st_mode & 0o777 == base.stat().st_mode & 0o777 == 0o700
    assert find(None, None).resolve() == mine.admin
    mine.forget()
    assert list(base.iterdir()) == []


def test_a_configured_run_dir_is_found_by_process_id_and_stays(base: Path, tmp_path: Path) -> None:
    mine = claim(str(tmp_path / "deep" / "run"), "other.sock")
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{os.getpid()}\n")
    mine.admin.touch()
    assert find(pid_file, None).resolve() == tmp_path / "deep" / "run" / "other.sock"
    mine.forget()
    assert (tmp_path / "deep" / "run").is_dir()
    assert list(base.iterdir()) == []


def test_a_folder_that_a_successor_has_taken_over_stays(base: Path) -> None:
    mine = claim(None)
    (base / str(os.getppid())).symlink_to(mine.path)
    mine.forget()
    assert mine.path.is_dir()


def test_what_dead_daemons_left_is_cleared(base: Path) -> None:
    claim(None).forget()
    dead = a_dead_process()
    (base / f"{dead}.d").mkdir()
    (base / f"{dead}.d" / "admin.sock").touch()
    (base / str(dead)).symlink_to(base / f"{dead}.d")
    with pytest.raises(RunDirError, match="no daemon of this user is running"):
        find(None, None)
    claim(None).forget()
    assert list(base.iterdir()) == []


def test_of_several_daemons_one_has_to_be_named(base: Path) -> None:
    claim(None)
    (base / str(os.getppid())).symlink_to(base)
    with pytest.raises(RunDirError, match=f"several daemons are running .*{os.getppid()}.*--pid-file or --admin"):
        find(None, None)
    assert find(None, Path("/x/y")) == Path("/x/y")


def test_a_folder_that_others_could_write_to_is_not_used(base: Path) -> None:
    base.mkdir(mode=0o755)
    with pytest.raises(RunDirError, match="must be a folder of this user's with mode 0700"):
        claim(None)
    base.rmdir()
    elsewhere = base.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    base.symlink_to(elsewhere)
    with pytest.raises(RunDirError, match="must be a folder"):
        claim(None)


def test_a_configured_run_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunDirError, match=f"cannot make the folder {tmp_path}/file/run: Not a directory"):
        claim(f"{tmp_path}/file/run")


@pytest.mark.parametrize("text", ["", "x", "12 13"])
def test_a_pid_file_without_a_pid(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    with pytest.raises(RunDirError, match="holds no process id"):
        find(tmp_path / "pid", None)
    with pytest.raises(RunDirError, match=r"cannot read the pid file .*: No such file"):
        find(tmp_path / "none", None)


def test_both_processes_of_a_hot_restart_are_one_daemon(base: Path) -> None:
    mine = claim(None)
    (base / str(os.getppid())).symlink_to(mine.path)
    assert find(None, None).resolve() == mine.admin


def test_the_link_of_an_earlier_daemon_is_not_in_the_way(tmp_path: Path) -> None:
    claim(str(tmp_path / "run"), "other.sock").forget()
    mine = claim(str(tmp_path / "run"))
    assert not mine.admin.is_symlink()
