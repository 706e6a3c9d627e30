"""A disk that is full: an error to the caller, never a crash, and all is well once there is space again."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from support.own_network import in_child
from support.small_disk import fill, small_disk
from support.store_writes import Writes

from fastnlb.control.store.errors import StoreError, StoreFull
from fastnlb.control.store.store import Store

KIB = 1024


@pytest.mark.parametrize("left", [0, 4, 8, 16, 28, 40, 60, 80, 120, 200])
def test_a_full_disk_refuses_the_change_and_keeps_the_state(tmp_path: Path, left: int) -> None:
    def writes_until_full() -> None:
        small_disk(tmp_path, 2048)
        path, filler, writes = tmp_path / "state", tmp_path / "filler", Writes(f"full {left}")
        store = Store.open(path)
        done = 0
        for done in range(1, 11):
            writes.make(store, done)
        fill(filler, left * KIB)
        with pytest.raises(StoreFull, match=f"no space is left for {path}"):
            for done in range(11, 500):
                writes.make(store, done)
        for _ in range(2):
            assert_refused(store, writes, done)
        assert_still_there(store, writes, done)
        filler.unlink()
        give_up(store)
        writes.make(store, done)
        store.close()
        assert writes.assert_whole(path) == done

    in_child(writes_until_full)


def assert_refused(store: Store, writes: Writes, number: int) -> None:
    give_up(store)
    with pytest.raises(StoreFull):
        writes.make(store, number)
        writes.make(store, number + 1)


def give_up(store: Store) -> None:
    """As whoever staged it does when it cannot be committed."""
    if store._staged is not None:
        store.discard(store._staged[0])


def assert_still_there(store: Store, writes: Writes, number: int) -> None:
    head = store.head()
    assert head is not None
    assert head.number == number - 1


@pytest.mark.parametrize("left", [0, 4, 20, 50])
def test_there_is_no_store_on_a_disk_without_space(tmp_path: Path, left: int) -> None:
    def opens() -> None:
        small_disk(tmp_path, 256)
        fill(tmp_path / "filler", left * KIB)
        with pytest.raises(StoreFull):
            store = Store.open(tmp_path / "state")
            for number in range(1, 100):
                Writes("new").make(store, number)
        (tmp_path / "filler").unlink()
        assert Store.open(tmp_path / "state").revisions(limit=1) is not None

    in_child(opens)


def test_a_limit_on_the_size_of_files_is_an_error_too(tmp_path: Path) -> None:
    def writes_to_the_limit() -> None:
        path, writes = tmp_path / "state", Writes("limit")
        store = Store.open(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 * KIB, resource.RLIM_INFINITY))
        done = 0
        with pytest.raises(StoreError, match=r"disk I/O error|File too large"):
            for done in range(1, 500):
                writes.make(store, done)
        give_up(store)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writes.make(store, done)
        store.close()
        assert writes.assert_whole(path) == done

    in_child(writes_to_the_limit)
