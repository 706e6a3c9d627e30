"""Files are looked at: what counts as a change, and when it is acted on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.procs import wait_for

from fastnlb.control.watch import MOST_PATIENCE, Watch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "www.pem"
    path.write_text("one")
    return path


def touch(path: Path, nanoseconds: int) -> None:
    """Another time of change, however coarse the file system's clock is."""
    os.utime(path, ns=(0, nanoseconds))


def test_what_does_not_change_is_not_told(file: Path) -> None:
    watch = Watch([file])
    assert watch.changed() == frozenset()
    file.read_text()
    assert watch.changed() == frozenset()


def test_a_change_is_told_once(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("x")
    watch = Watch([file, other])
    file.write_text("longer than before")
    assert watch.changed() == {file}
    assert watch.changed() == frozenset()


def test_the_same_size_at_another_time_is_a_change(file: Path) -> None:
    watch = Watch([file])
    touch(file, 7)
    assert watch.changed() == {file}


def test_a_file_that_takes_its_place_with_the_same_size_and_time_is_a_change(file: Path) -> None:
    touch(file, 7)
    watch = Watch([file])
    heir = file.with_suffix(".new")
    heir.write_text("two")
    touch(heir, 7)
    heir.replace(file)
    assert watch.changed() == {file}


def test_other_access_rights_are_a_change(file: Path) -> None:
    """A key that others may read is warned of, and one that we may not read cannot be used."""
    watch = Watch([file])

    def change() -> bool:
        file.chmod(0o600)  # more than once, because the file system's clock may not have ticked since it was made
        return watch.changed() == {file}

    wait_for(change, "the change to be seen")


def test_coming_and_going_are_changes(file: Path) -> None:
    watch = Watch([file])
    file.unlink()
    assert watch.changed() == {file}
    assert watch.changed() == frozenset()
    file.write_text("one")
    assert watch.changed() == {file}


def test_a_symlink_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes swaps secrets: a link to a folder is replaced."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "www.pem").write_text("same")
        touch(tmp_path / version / "www.pem", 7)
    (tmp_path / "now").symlink_to("v1")
    watch = Watch([tmp_path / "now" / "www.pem"])
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(tmp_path / "now")
    assert watch.changed() == {tmp_path / "now" / "www.pem"}


def test_a_path_that_cannot_be_is_watched_in_vain() -> None:
    watch = Watch([Path("/nowhere/\0")])
    assert watch.changed() == frozenset()


def test_other_files_are_followed_and_what_was_missed_of_the_old_ones_is_told(file: Path, tmp_path: Path) -> None:
    gone, new = tmp_path / "gone.pem", tmp_path / "new.pem"
    watch = Watch([file, gone])
    for path in (file, gone, new):
        path.write_text("changed since")
    watch.follow([file, new])
    assert watch.changed() == {file}


def test_a_change_is_acted_on_when_it_has_come_to_rest(file: Path) -> None:
    watch = Watch([file])
    assert not watch.settled()
    for size in range(3):
        file.write_text("longer" + "x" * size)
        assert not watch.settled()
    assert watch.settled()
    assert not watch.settled()


def test_a_file_that_never_rests_does_not_hold_up_the_others_for_ever(file: Path) -> None:
    watch = Watch([file])
    answers = []
    for size in range(2 * MOST_PATIENCE):
        file.write_text("longer" + "x" * size)
        answers.append(watch.settled())
    assert [number for number, answer in enumerate(answers, 1) if answer] == [MOST_PATIENCE, 2 * MOST_PATIENCE]


@pytest.mark.parametrize(("count", "interval"), [(0, None), (1, 1.0), (5000, 1.0), (10_000, 2.0)])
def test_many_files_are_looked_at_less_often(count: int, interval: float | None) -> None:
    assert Watch(Path(f"/nowhere/{number}") for number in range(count)).interval == interval
