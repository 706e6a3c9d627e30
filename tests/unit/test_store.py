"""The store: what is staged, committed and discarded, and what is remembered."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.store_writes import Document, group, listener, nothing, put

from fastnlb.control.store import history
from fastnlb.control.store import store as store_module
from fastnlb.control.store.errors import (
    NoSuchRevision,
    StoreConflict,
    StoreError,
)
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Change, Remembered, Revision


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made = Store.open(tmp_path / "state", clock=clock)
    yield made
    made.close()


def reopened(store: Store) -> Store:
    store.close()
    return Store.open(store.path)


def document(*listeners: dict[str, Any], **more: list[dict[str, Any]]) -> Document:
    return {**nothing(), "listeners": list(listeners), **more}


def names(document: Any, kind: str = "listeners") -> list[str]:
    return [block["name"] for block in document[kind]]


# Revisions


def test_a_new_store_has_no_revision_and_nothing_in_it(store: Store) -> None:
    assert store.head() is None
    assert store.revisions() == []
    assert store.document() == nothing()


def test_a_commit_is_the_state_with_who_made_it_and_when(store: Store, clock: Clock) -> None:
    put(store, document(listener("a")))
    clock.now += 60
    second = put(store, document(listener("a"), listener("b")), "someone", "add b")
    assert second == Revision(2, 1_000_060, "someone", "add b", 1)
    assert store.head() == second == store.revision(2)
    assert [each.number for each in store.revisions()] == [2, 1]
    assert [each.number for each in store.revisions(limit=1)] == [2]
    assert [each.number for each in store.revisions(before=2)] == [1]
    assert names(store.document()) == ["a", "b"]
    assert names(store.document(1)) == ["a"]


@pytest.mark.parametrize("number", [0, -1, 2, 2**63 - 1, 2**63, 10**30, -(10**30)])
def test_there_is_no_other_revision(store: Store, number: int) -> None:
    put(store, document(listener("a")))
    for ask in (store.revision, store.document):
        with pytest.raises(NoSuchRevision, match=f"there is no revision {number}$"):
            ask(number)
    assert len(store.revisions(limit=10**30, before=10**30)) == 1
    assert store.revisions(before=-(10**30)) == []


def test_all_of_it_is_there_when_it_is_opened_again(store: Store) -> None:
    wanted = document(listener("a", tags={"x": "é\ud800"}), server_groups=[group("big", servers=500), group("g")])
    put(store, wanted, "wh\udcffo")
    again = reopened(store)
    assert again.document() == wanted
    assert [each.author for each in again.revisions()] == ["wh\\udcffo"]
    again.close()


def test_what_is_staged_is_not_the_state_until_it_is_committed(store: Store) -> None:
    put(store, document(listener("a")))
    staged = store.stage(document(listener("b")), "me", "replace a", expected_head=1)
    assert (staged.number, staged.parent, names(staged.document)) == (2, 1, ["b"])
    reader = Store.open(store.path)
    for each in (store, reader):
        assert [revision.number for revision in each.revisions()] == [1]
        assert names(each.document()) == ["a"]
        with pytest.raises(NoSuchRevision, match="there is no revision 2"):
            each.document(2)
    store.commit(staged)
    assert names(store.document()) == names(reader.document()) == ["b"]
    reader.close()


def test_what_is_discarded_never_was(store: Store) -> None:
    put(store, document(listener("a"), listener("b")))
    before = database_dump(store)
    staged = store.stage(document(listener("b", 444), listener("c")), "me", "", expected_head=1)
    assert database_dump(store) != before
    store.discard(staged)
    assert database_dump(store) == before
    with pytest.raises(StoreError, match="revision 2 is not staged any more"):
        store.commit(staged)
    store.discard(staged)
    assert put(store, document(listener("d"))).number == 2


def database_dump(store: Store) -> list[str]:
    connection = sqlite3.connect(store.path / "fastnlb.db")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_what_a_dead_process_had_staged_is_gone(store: Store) -> None:
    put(store, document(listener("a")))
    before = database_dump(store)
    store.stage(document(listener("b")), "me", "", expected_head=1)
    again = reopened(store)
    assert names(again.document()) == ["a"]
    again.acquire()
    assert database_dump(again) == before
    assert put(again, document(listener("c"))).number == 2
    assert names(again.document()) == ["c"]
    again.close()


def test_a_change_made_for_an_older_state_is_refused(store: Store) -> None:
    put(store, document(listener("a")))
    put(store, document(listener("b")))
    for expected in (1, None, 3):
        with pytest.raises(StoreConflict, match=f"revision 2 is the newest, not {expected or 0}: "):
            store.stage(nothing(), "me", "", expected_head=expected)
    assert names(store.document()) == ["b"]


def test_one_change_at_a_time(store: Store) -> None:
    staged = store.stage(document(listener("a")), "me", "", expected_head=None)
    with pytest.raises(StoreConflict, match="another change is being made"):
        store.stage(document(listener("b")), "me", "", expected_head=None)
    store.commit(staged)
    assert names(store.document()) == ["a"]


def test_a_change_that_cannot_be_staged_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, document(listener("a")))
    before = database_dump(store)
    really = history.write

    def write(connection: sqlite3.Connection, number: int, changed: Any) -> None:
        really(connection, number, changed)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(history, "write", write)
    with pytest.raises(StoreError, match=r"fastnlb\.db: disk I/O error"):
        store.stage(document(listener("b")), "me", "", expected_head=1)
    assert database_dump(store) == before


def test_writers_at_one_time_lose_no_update(store: Store) -> None:
    def write(writer: int) -> None:
        for number in range(10):
            while True:
                head = store.head()
                blocks = store.document(head.number)["listeners"] if head else []
                wanted = document(*blocks, listener(f"w{writer}-{number}"))
                try:
                    expected = head.number if head else None
                    store.commit(store.stage(wanted, f"w{writer}", "", expected_head=expected))
                except StoreConflict:
                    continue
                break

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(store.document())) == [f"w{writer}-{number}" for writer in range(4) for number in range(10)]
    assert len(store.revisions()) == 40


def test_two_of_a_kind_do_not_share_a_name(store: Store) -> None:
    with pytest.raises(ValueError, match="two of listeners have the same name"):
        store.stage(document(listener("a"), listener("a")), "me", "", expected_head=None)
    assert put(store, document(listener("a"))).number == 1


def test_the_caller_may_go_on_with_its_document(store: Store) -> None:
    mine = document(listener("a"))
    put(store, mine)
    mine["listeners"][0]["port"] = 1
    assert store.document()["listeners"][0]["port"] == 443
    put(store, mine)
    assert (store.document(1)["listeners"][0]["port"], store.document(2)["listeners"][0]["port"]) == (443, 1)


def test_the_document_is_kept_ready(store: Store) -> None:
    put(store, document(listener("a")))
    assert store.document() is store.document(1)


@pytest.mark.parametrize(
    "wanted", [["a", "c", "b"], ["new", "a", "b", "c"], ["a", "new", "b", "c"], ["c", "b", "a"], ["b"], ["b", "new"]]
)
def test_the_order_is_that_of_the_document(store: Store, wanted: list[str]) -> None:
    put(store, document(*map(listener, "abc")))
    put(store, document(*map(listener, wanted)))
    again = reopened(store)
    assert names(again.document()) == wanted
    assert names(again.document(1)) == ["a", "b", "c"]
    again.close()


def test_a_revision_costs_what_has_changed(store: Store) -> None:
    many = [listener(f"l{number}", number + 1) for number in range(300)]
    put(store, document(*many))
    put(store, document(*many[:100], listener("new"), *many[101:]))
    put(store, document(*many[1:]))
    connection = sqlite3.connect(store.path / "fastnlb.db")
    rows = connection.execute("SELECT since, count(*) FROM resources GROUP BY since ORDER BY since").fetchall()
    connection.close()
    assert rows == [(1, 300), (2, 1), (3, 1)]


def test_the_oldest_revisions_are_dropped_with_what_only_they_had(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEPT_REVISIONS", 3)
    for number in range(1, 7):
        put(store, document(listener("stays"), listener(f"l{number}")))
    assert [each.number for each in store.revisions()] == [6, 5, 4]
    with pytest.raises(NoSuchRevision):
        store.document(3)
    again = reopened(store)
    assert [names(again.document(number)) for number in (4, 5, 6)] == [["stays", f"l{n}"] for n in (4, 5, 6)]
    again.close()
    connection = sqlite3.connect(store.path / "fastnlb.db")
    held = {name for (name,) in connection.execute("SELECT name FROM resources")}
    connection.close()
    assert held == {"stays", "l4", "l5", "l6"}


# Differences


def test_a_difference_names_resources_and_fields(store: Store) -> None:
    put(store, document(listener("a"), listener("gone"), server_groups=[group("g")]))
    put(store, document(listener("new"), listener("a", 444, cps=5), server_groups=[group("g", weight=1)]))
    servers = (group("g")["servers"], group("g", weight=1)["servers"])
    assert store.diff(1, 2) == [
        Change("server_groups", "g", "changed", {"servers": servers}),
        Change("listeners", "gone", "removed", {key: (value, None) for key, value in listener("gone").items()}),
        Change("listeners", "new", "added", {key: (None, value) for key, value in listener("new").items()}),
        Change("listeners", "a", "changed", {"port": (443, 444), "cps": (None, 5)}),
    ]
    assert [(each.name, each.what) for each in store.diff(2, 1) if each.kind == "listeners"] == [
        ("new", "removed"),
        ("a", "changed"),
        ("gone", "added"),
    ]
    assert {each.what for each in store.diff(0, 1)} == {"added"}
    with pytest.raises(NoSuchRevision, match="there is no revision 9"):
        store.diff(1, 9)


def test_a_difference_shows_material_by_its_digest(store: Store) -> None:
    for text in (b"one", b"two"):
        certificate, key = store.take_in_all([(b"certificate " + text, "pem"), (b"SECRET " + text, "key")])
        put(store, document(certificates=[{"name": "www", "certificate": certificate, "private_key": key}]))
    (change,) = store.diff(1, 2)
    assert set(change.fields) == {"certificate", "private_key"}
    shown = [value for pair in change.fields.values() for value in pair]
    assert all(len(value) == 64 and "SECRET" not in value for value in shown)
    assert len(set(shown)) == 4


# Idempotency tokens


def test_an_answer_is_remembered_for_a_day(store: Store, clock: Clock) -> None:
    answer = Remembered("token", "signature", 201, '{"name": "a"}')
    store.remember(answer)
    clock.now += 86_399
    assert store.recall("token") == answer
    assert store.recall("other") is None
    clock.now += 1
    assert store.recall("token") is None
    store.remember(Remembered("token", "another request", 200, "{}"))
    assert store.recall("token") == Remembered("token", "another request", 200, "{}")


def test_the_answer_to_a_change_is_remembered_with_it_or_not_at_all(store: Store) -> None:
    staged = store.stage(document(listener("a")), "me", "", expected_head=None)
    answer = Remembered("token", "signature", 201, "{}")
    assert store.recall("token") is None
    bad = Remembered("token", "signature", 201, None)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="NOT NULL"):
        store.commit(staged, idempotency=bad)
    assert store.head() is None
    store.commit(staged, idempotency=answer)
    assert store.recall("token") == answer
