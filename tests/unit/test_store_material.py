"""Certificates and keys in the store: named by what they hold, kept while a revision names them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certs import Issued
from support.store_writes import nothing

from fastnlb.control.store import material as material_module
from fastnlb.control.store import store as store_module
from fastnlb.control.store.errors import StoreError
from fastnlb.control.store.material import apart
from fastnlb.control.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material_module, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(store_module, "GRACE_SECONDS", 0.0)


def held(store: Store) -> set[str]:
    return {f"material/{path.name}" for path in (store.path / "material").iterdir()}


def naming(*references: str) -> dict[str, list[dict[str, Any]]]:
    blocks = [{"name": reference[-10:-4], "certificate": reference} for reference in references]
    return {**nothing(), "certificates": blocks}


def commit(store: Store, document: dict[str, list[dict[str, Any]]]) -> int:
    head = store.head()
    return store.commit(store.stage(document, "me", "", expected_head=head.number if head else None)).number


def test_a_file_is_named_by_what_it_holds(store: Store) -> None:
    first = store.take_in(b"certificate", "pem")
    digest = "bab8e8d8bc7d9a5fb1d8c9b0a45f5c5c"
    assert first == store.take_in(b"certificate", "pem")
    assert first.startswith("material/")
    assert len(first) == len("material/.pem") + 2 * len(digest)
    assert store.take_in(b"certificate", "crl") != first
    assert (store.path / first).read_bytes() == b"certificate" == store.read_material(first)


def test_a_file_has_its_name_only_once_it_is_on_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append("folder" if path.is_dir() else "temporary" if path.name.startswith(".") else "named")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.take_in_all([(b"one", "pem"), (b"two", "key")])
    assert seen == ["temporary", "temporary", "folder"]


def test_a_failed_write_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store.acquire()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match="no space is left for"):
        store.take_in(b"certificate", "pem")
    assert held(store) == set()


@pytest.mark.parametrize(
    "reference",
    [
        "material/../fastnlb.db",
        "/etc/passwd",
        "material/" + "0" * 64 + ".pem/../../lock",
        "material/" + "0" * 64 + ".pem\n",
        "material/" + "0" * 63 + ".pem",
        "",
    ],
)
def test_nothing_else_can_be_read(store: Store, reference: str) -> None:
    with pytest.raises(StoreError, match="only certificates, revocation lists and OCSP responses"):
        store.read_material(reference)


def test_a_key_cannot_be_read_back(store: Store) -> None:
    with pytest.raises(StoreError, match="only certificates"):
        store.read_material(store.take_in(b"SECRET", "key"))


def test_a_document_names_only_what_is_there(store: Store) -> None:
    for reference in ("material/" + "0" * 64 + ".pem", "/etc/ssl/www.pem"):
        with pytest.raises(StoreError, match=r"certificate of .* is not in the store: send it along"):
            commit(store, naming(reference))
    assert store.head() is None


@pytest.mark.usefixtures("no_grace")
def test_a_file_stays_as_long_as_a_kept_revision_names_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "KEPT_REVISIONS", 2)
    first, second = store.take_in(b"first", "pem"), store.take_in(b"second", "pem")
    commit(store, naming(first, second))
    commit(store, naming(second))
    assert held(store) == {first, second}
    commit(store, naming(second))
    assert held(store) == {second}


@pytest.mark.usefixtures("no_grace")
def test_a_file_of_what_was_discarded_goes_with_it(store: Store) -> None:
    kept = store.take_in(b"kept", "pem")
    commit(store, naming(kept))
    staged = store.stage(naming(kept, store.take_in(b"not kept", "pem")), "me", "", expected_head=1)
    assert len(held(store)) == 2
    store.discard(staged)
    assert held(store) == {kept}


@pytest.mark.usefixtures("no_grace")
def test_a_file_that_is_staged_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = store.take_in(b"staged", "pem")
    store.stage(naming(reference), "me", "", expected_head=None)
    store._sweep()
    assert held(store) == {reference}


def test_a_file_that_was_just_taken_in_waits_for_its_revision(store: Store) -> None:
    reference = store.take_in(b"for the next request", "pem")
    store.discard(store.stage(naming(store.take_in(b"x", "pem")), "me", "", expected_head=None))
    assert reference in held(store)
    commit(store, naming(reference))


def test_what_a_dead_process_left_is_cleared(store: Store) -> None:
    kept = store.take_in(b"kept", "pem")
    commit(store, naming(kept))
    store.take_in(b"never named", "pem")
    (store.path / "material" / ".half").write_bytes(b"hal")
    store.close()
    again = Store.open(store.path)
    again.acquire()
    assert held(again) == {kept}
    again.close()


def test_keys_are_taken_out_of_what_comes_with_them() -> None:
    leaf = Issued.root().issue("www.example.com")
    public, private = apart(b"Bag Attributes\n" + leaf.chain_pem + b"and\n" + leaf.key_pem + leaf.pem)
    assert public == leaf.chain_pem + leaf.pem
    assert private == leaf.key_pem
    assert apart(leaf.chain_pem) == (leaf.chain_pem, b"")
    for label in (
        b"PRIVATE KEY ",
        b"PGP PRIVATE KEY BLOCK",
        b"private key",
        b"EC PARAMETERS",
        b"CERTIFICATE REQUEST",
    ):
        other = leaf.key_pem.replace(b"PRIVATE KEY", label)
        assert apart(leaf.pem + other) == (leaf.pem, b""), label
    assert apart(b"nothing of the kind") == apart(leaf.key_pem[:-5]) == (b"", b"")
