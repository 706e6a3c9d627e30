"""The directory of a store: who may write it, who may look into it, and what is none."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.own_network import in_child
from support.store_writes import Document, listener, nothing, put

from fastnlb.control.store.errors import StateDirError, StoreBusy, StoreError
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Remembered


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


def document(*listeners: dict[str, Any], **more: list[dict[str, Any]]) -> Document:
    return {**nothing(), "listeners": list(listeners), **more}


def names(document: Any, kind: str = "listeners") -> list[str]:
    return [block["name"] for block in document[kind]]


def test_one_process_writes_and_others_are_told_who(store: Store) -> None:
    put(store, document(listener("a")))
    other = Store.open(store.path)
    assert names(other.document()) == ["a"]
    for attempt in (
        other.acquire,
        lambda: other.stage(nothing(), "me", "", expected_head=1),
        lambda: other.take_in(b"x", "pem"),
        lambda: other.remember(Remembered("t", "s", 200, "{}")),
    ):
        with pytest.raises(StoreBusy, match=f"is in use by process {os.getpid()}: one daemon writes"):
            attempt()
    assert not other.writable
    store.close()
    assert put(other, document(listener("b"))).number == 2
    assert other.writable
    other.close()


def test_the_right_to_write_ends_with_the_process(store: Store) -> None:
    def hold() -> None:
        Store.open(store.path).acquire()
        os._exit(0)

    in_child(hold)
    store.acquire()


def test_only_its_owner_can_look_into_it(store: Store) -> None:
    umask = os.umask(0)
    try:
        put(store, document(certificates=[{"name": "www", "certificate": store.take_in(b"x", "pem")}]))
    finally:
        os.umask(umask)
    found = {path.relative_to(store.path): stat.S_IMODE(path.stat().st_mode) for path in store.path.rglob("*")}
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
    assert found.pop(Path("material")) == 0o700
    assert {name.suffix for name in found} >= {".db", ".pem", ".db-wal", ".db-shm", ""}
    assert set(found.values()) == {0o600}


def test_an_empty_folder_becomes_one_and_any_other_does_not(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    (empty / "lost+found").mkdir()
    Store.open(empty).close()
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700
    (tmp_path / "letters").write_text("dear")
    mode = stat.S_IMODE(tmp_path.stat().st_mode)
    with pytest.raises(StateDirError, match="is neither empty nor a state directory: name another one"):
        Store.open(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode


def test_a_file_is_no_state_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateDirError, match=f"{tmp_path}/file: File exists"):
        Store.open(tmp_path / "file")
    with pytest.raises(StateDirError, match="Not a directory"):
        Store.open(tmp_path / "file" / "state")


def test_a_directory_without_permission_is_named(store: Store) -> None:
    def as_nobody() -> None:
        os.setuid(65_534)
        for path in (Path("/proc/1/state"), Path("/var/lib/state")):
            with pytest.raises(StateDirError, match=f"{path}: "):
                Store.open(path)

    in_child(as_nobody)


def test_a_store_of_a_newer_version_is_left_alone(store: Store) -> None:
    tell(store, "PRAGMA user_version = 2")
    with pytest.raises(StoreError, match=r"newer fastnlb \(it has version 2, and this program knows 1\): start that"):
        Store.open(store.path)


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "fastnlb.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (tmp_path / "fastnlb.db").read_bytes()
    with pytest.raises(StateDirError, match="is a database of another program"):
        Store.open(tmp_path)
    assert (tmp_path / "fastnlb.db").read_bytes() == before


def test_a_damaged_database_is_named(store: Store) -> None:
    put(store, document(*(listener(f"l{number}") for number in range(500))))
    store.close()
    path = store.path / "fastnlb.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (size - 8192))
    with pytest.raises(
        StoreError, match=r"fastnlb\.db is damaged .*: put a copy of the state directory in its place"
    ):
        Store.open(store.path).document()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"fastnlb\.db is damaged"):
        Store.open(store.path)


def tell(store: Store, statement: str) -> None:
    store.close()
    connection = sqlite3.connect(store.path / "fastnlb.db")
    connection.execute(statement)
    connection.close()
