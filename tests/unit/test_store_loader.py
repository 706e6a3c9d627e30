"""What a daemon in store mode is loaded from: settings from a file, the rest from the store."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.certs import PEM, Issued, private_pem
from support.own_network import in_child
from support.small_disk import fill, small_disk
from support.store_writes import listener, nothing, put, serving

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import Loaded, load
from fastnlb.control.store import loader as loader_module
from fastnlb.control.store.errors import StoreBusy
from fastnlb.control.store.loader import StoreLoader
from fastnlb.control.store.store import Store

SETTINGS = "version: 1\nworkers: 3\n"
WEB = "server_groups: [{name: web, servers: [{address: 127.0.0.1, port: 8080}]}]\n"
PLAIN = "listeners:\n  - {name: plain, protocol: TCP, port: 80, server_group: web}\n"
Starter = Callable[..., StoreLoader]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "base.yaml"


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Starter]:
    """A loader of the state directory that has been started, and what a test opens with it."""
    made: list[StoreLoader] = []

    def start(base: Path | None = None, text: str | None = None, **options: Any) -> StoreLoader:
        if base is not None and text is not None:
            base.write_text(text)
        loader = StoreLoader(tmp_path / "state", base, **options)
        made.append(loader)
        loader.start()
        return loader

    yield start
    for loader in made:
        loader.close()


def said(loaded: Loaded) -> list[str]:
    return [problem.render("FILE") for problem in loaded.warnings]


def refused(act: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        act()
    return [problem.render("FILE") for problem in caught.value.problems if not problem.warning]


# Without a file


def test_an_empty_store_is_a_daemon_with_nothing_to_serve(begin: Starter, tmp_path: Path) -> None:
    loader = begin()
    loaded = loader.load()
    assert loaded.snapshot.listeners == ()
    assert loaded.settings.shutdown_timeout == 30
    assert loaded.document == nothing()
    assert said(loaded) == [
        f"{tmp_path}/state: listeners: warning: no listener is enabled: no connection will be accepted"
    ]
    assert loader.revision == 0
    assert loader.store.revisions() == []
    assert (loader.files(), loader.staple_files()) == (frozenset(), frozenset())


def test_the_newest_revision_is_what_is_loaded(begin: Starter) -> None:
    loader = begin()
    put(loader.store, serving(listener("a")))
    put(loader.store, serving(listener("a"), listener("b", 82)))
    loaded = loader.load()
    assert [each.name for each in loaded.snapshot.listeners] == ["a", "b"]
    assert loaded.document == loader.store.document()
    assert loader.revision == 2
    assert loader.load() == loader.refresh() == loaded


def test_what_is_staged_is_loaded_in_its_place(begin: Starter) -> None:
    loader = begin()
    put(loader.store, serving(listener("a")))
    loader.staged = loader.store.stage(serving(listener("b")), "me", "", expected_head=1)
    assert [each.name for each in loader.load().snapshot.listeners] == ["b"]
    assert loader.revision == 2
    loader.store.discard(loader.staged)
    loader.staged = None
    assert [each.name for each in loader.load().snapshot.listeners] == ["a"]
    assert loader.revision == 1


def test_a_revision_made_elsewhere_since_the_load_shows(begin: Starter, tmp_path: Path) -> None:
    loader = begin()
    assert loader.acknowledged
    assert not loader.behind
    predecessor = StoreLoader(tmp_path / "state")
    put(predecessor.store, serving(listener("a")))
    predecessor.close()
    assert loader.behind
    loader.load()
    assert not loader.behind
    loader.close()
    (tmp_path / "state" / "fastnlb.db").write_bytes(b"x" * 1000)
    assert not loader.behind


def test_threads_share_a_loader(begin: Starter) -> None:
    loader = begin()
    put(loader.store, serving(listener("a")))
    loader.load()
    loader.close()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: loader.store, range(20)))
        checks = [pool.submit(loader.check, serving(listener(f"n{number}"))) for number in range(20)]
        loads = [pool.submit(loader.load) for _ in range(20)]
    assert len(set(map(id, stores))) == 1
    assert [check.result().snapshot.listeners[0].name for check in checks] == [f"n{number}" for number in range(20)]
    assert {load.result().snapshot.listeners[0].name for load in loads} == {"a"}


def test_the_number_of_workers_can_be_overridden(begin: Starter, base: Path) -> None:
    assert begin(base, SETTINGS, workers_override=5).load().settings.workers == 5


# With a file


def test_an_empty_store_takes_over_what_the_file_has(begin: Starter, base: Path) -> None:
    loader = begin(base, SETTINGS + WEB + PLAIN)
    (first,) = loader.store.revisions()
    assert (first.number, first.author, first.summary) == (1, "import", f"2 resources of {base}")
    loaded = loader.load()
    assert loaded.settings.workers == 3
    assert loaded.snapshot == load(base).snapshot
    assert loaded.document == load(base).document == loader.store.document()


def test_the_settings_of_the_file_are_read_at_each_load_and_nothing_else_of_it(begin: Starter, base: Path) -> None:
    loader = begin(base, SETTINGS + WEB + PLAIN)
    base.write_text("version: 1\nworkers: 4\n" + WEB + PLAIN.replace("80", "90"))
    loaded = loader.load()
    assert loaded.settings.workers == 4
    assert [each.port for each in loaded.snapshot.listeners] == [80]
    assert said(loaded) == [
        "FILE:3:1: warning: server_groups, listeners: ignored, because the state directory has its own;"
        f" fastnlb apply -f {base} puts these in their place"
    ]
    base.write_text("version: 1\n")
    assert said(loader.load()) == []


def test_a_file_that_gets_resources_later_is_imported_while_the_store_is_empty(begin: Starter, base: Path) -> None:
    loader = begin(base, SETTINGS)
    base.write_text(SETTINGS + WEB + PLAIN)
    assert len(loader.load().snapshot.listeners) == 1
    assert loader.revision == 1


def test_certificates_come_along_without_their_files(begin: Starter, base: Path, tmp_path: Path) -> None:
    root = Issued.root().intermediate()
    one, two, three = (root.issue(f"{name}.test") for name in ("one", "two", "three"))
    files = {
        "one.pem": one.chain_pem,
        "one.key": private_pem(one.key, b"a passphrase"),
        "one.pass": b"a passphrase\n",
        "two.pem": two.key_pem + two.chain_pem,
        "three.pem": three.chain_pem,
        "three.key": three.key_pem,
        "three.ocsp": root.ocsp(three),
        "ca.pem": root.pem,
        "ca.crl": root.crl().public_bytes(PEM),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    text = SETTINGS + (
        "certificates:\n"
        "  - {name: one, certificate: one.pem, private_key: one.key, private_key_passphrase_file: one.pass}\n"
        "  - {name: two, certificate: two.pem}\n"
        "  - {name: three, certificate: three.pem, private_key: three.key, ocsp_response: three.ocsp}\n"
        "ca_certificates:\n"
        "  - {name: unused, certificate: ca.pem, verify_depth: 2}\n"
        "  - {name: staff, certificate: ca.pem, crl: ca.crl}\n"
    )
    text += WEB + (
        "listeners:\n"
        "  - {name: tls, protocol: TCPSSL, port: 443, server_group: web, certificate: one,"
        " additional_certificates: [two, three], ca_certificate: staff}\n"
    )
    base.write_text(text)
    expected = load(base).snapshot
    loader = begin(base)
    for name in files:
        (tmp_path / name).unlink()
    loaded = loader.load()
    assert loaded.snapshot == expected
    assert [each.staple is not None for each in loaded.snapshot.certificates] == [False, False, True]
    stored = loader.store.document()
    assert [sorted(block) for block in stored["certificates"]] == [
        ["certificate", "name", "private_key"],
        ["certificate", "name", "private_key"],
        ["certificate", "name", "ocsp_response", "private_key"],
    ]
    assert [sorted(block) for block in stored["ca_certificates"]] == [
        ["certificate", "name", "verify_depth"],
        ["certificate", "crl", "name"],
    ]
    for block in stored["certificates"]:
        assert b"PRIVATE" not in loader.store.read_material(block["certificate"])
    for path in (tmp_path / "state" / "material").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_odd_about_imported_files_is_said_in_their_words(base: Path, tmp_path: Path) -> None:
    leaf = Issued.root().issue("www.test")
    leaf.write(tmp_path)
    (tmp_path / "server.key").chmod(0o644)
    base.write_text(SETTINGS + "certificates: [{name: www, certificate: server.pem, private_key: server.key}]\n")
    loader = StoreLoader(tmp_path / "state", base)
    (odd,) = (line for line in said(loader.start()) if "others than its owner can read it" in line)
    assert odd.startswith("FILE:3:16: certificates[0]: warning: ")


# What is refused


def test_everything_that_is_wrong_with_the_file_is_said_before_anything_is_made(base: Path, tmp_path: Path) -> None:
    base.write_text("version: 1\nworkers: none\nlisteners: [{name: a}]\n")
    problems = refused(StoreLoader(tmp_path / "state", base).start)
    assert problems[0].startswith("FILE:2:10: workers: ")
    assert any("listeners[0]" in problem for problem in problems)
    assert not (tmp_path / "state").exists()


def test_a_bad_import_leaves_the_store_empty(base: Path, tmp_path: Path) -> None:
    base.write_text(SETTINGS + WEB + PLAIN + "certificates: [{name: www, certificate: no.pem}]\n")
    (problem,) = refused(StoreLoader(tmp_path / "state", base).start)
    assert problem.startswith("FILE:6:41: certificates[0].certificate: ")
    store = Store.open(tmp_path / "state")
    assert store.head() is None
    store.close()


def test_a_refused_load_leaves_the_last_good_one(begin: Starter, base: Path) -> None:
    loader = begin(base, SETTINGS + WEB + PLAIN)
    good = loader.load()
    base.write_text("version: 1\nnonsense: 1\n")
    (problem,) = refused(loader.load)
    assert problem.startswith("FILE:2:1: nonsense: unknown key")
    base.unlink()
    assert refused(loader.load) == ["FILE: cannot read: No such file or directory"]
    assert loader.refresh().snapshot == good.snapshot
    assert loader.revision == 1


def test_a_problem_of_a_resource_is_not_looked_for_in_the_file(begin: Starter, base: Path, tmp_path: Path) -> None:
    loader = begin(base, SETTINGS)
    put(loader.store, serving(listener("a", 70_000)))
    (problem,) = refused(loader.load)
    assert problem.startswith(f"{tmp_path}/state: listeners[0].port: ")


# Checks


def test_a_check_names_what_is_wrong_and_keeps_nothing(begin: Starter) -> None:
    loader = begin()
    put(loader.store, serving(listener("a")))
    good = loader.load()
    with pytest.raises(ConfigError) as caught:
        loader.check(serving(listener("a"), listener("b", 0), listener("c", 443)))
    assert sorted(problem.path for problem in caught.value.problems) == ["listeners[1].port", "listeners[2].port"]
    assert [each.name for each in loader.check(serving(listener("z"))).snapshot.listeners] == ["z"]
    assert loader.store.revisions(limit=5)[0].number == 1
    assert loader.load() == good


def test_a_check_refuses_what_is_no_resource(begin: Starter) -> None:
    loader = begin()
    (problem,) = refused(lambda: loader.check({**nothing(), "workers": 9}))  # type: ignore[dict-item]
    assert problem.startswith("FILE: workers: not a kind of resource: the kinds are certificates, ")


@pytest.mark.parametrize("path", ["/etc/hostname", "www.pem", "material/../lock"])
def test_a_check_opens_no_file_that_a_client_names(
    begin: Starter, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = begin()
    monkeypatch.setattr(loader_module, "assemble", None)
    blocks: dict[str, Any] = {
        "certificates": [
            {"name": "www", "certificate": path, "private_key": path, "private_key_passphrase_file": path}
        ],
        "ca_certificates": [{"name": "staff", "certificate": path, "crl": path}],
    }
    problems = refused(lambda: loader.check({**nothing(), **blocks}))
    assert len(problems) == 5
    assert all("send the PEM text" in problem and path not in problem for problem in problems)


def test_what_was_checked_is_loaded_without_work(begin: Starter, monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    loader = begin(base, SETTINGS + WEB + PLAIN)
    loader.load()
    certificate, key = leaf_in(loader)
    document = serving(listener("b"), certificates=[{"name": "w", "certificate": certificate, "private_key": key}])
    checked = loader.check(document)
    loader.staged = loader.store.stage(document, "me", "", expected_head=1)
    assembled: list[object] = []
    really = loader_module.assemble
    monkeypatch.setattr(loader_module, "assemble", lambda *a, **k: assembled.append(a) or really(*a, **k))
    loaded = loader.load()
    assert assembled == []
    assert (loaded.snapshot, loaded.settings) == (checked.snapshot, checked.settings)
    assert [line for line in said(loaded) if "ignored, because" in line]
    assert loader.load() == loaded
    assert len(assembled) == 1


def test_keys_that_are_not_served_any_more_do_not_stay_in_memory(begin: Starter) -> None:
    loader = begin()
    certificate, key = leaf_in(loader)
    for reference in (certificate, key):
        os.utime(loader.store.path / reference, (0, 0))  # what is as old as that is kept when it has been read
    document = serving(certificates=[{"name": "w", "certificate": certificate, "private_key": key}])
    put(loader.store, document)
    loader.load()
    assert len(loader._cache._entries) == 1
    loader.check(serving())
    assert len(loader._cache._entries) == 1
    put(loader.store, serving())
    loader.load()
    assert loader._cache._entries == {}


def test_a_check_does_not_stand_for_another_document_or_other_settings(begin: Starter, base: Path) -> None:
    loader = begin(base, SETTINGS)
    loader.check(serving(listener("b")))
    put(loader.store, serving(listener("c")))
    assert [each.name for each in loader.load().snapshot.listeners] == ["c"]
    loader.check(loader.store.document())
    base.write_text("version: 1\nworkers: 7\n")
    assert loader.load().settings.workers == 7
    loader.check(loader.store.document())
    base.write_text("version: 1\nworkers: 7\nworkers: 8\n")
    assert "duplicate key" in refused(loader.load)[0]


def leaf_in(loader: StoreLoader) -> list[str]:
    leaf = Issued.root().issue("www.test")
    return loader.store.take_in_all([(leaf.chain_pem, "pem"), (leaf.key_pem, "key")])


# The directory


def test_a_second_daemon_is_refused_and_a_successor_is_not(begin: Starter, tmp_path: Path) -> None:
    loader = begin()
    put(loader.store, serving(listener("a")))
    with pytest.raises(StoreBusy, match=f"is in use by process {os.getpid()}"):
        StoreLoader(tmp_path / "state").start()
    successor = StoreLoader(tmp_path / "state")
    assert [each.name for each in successor.start(alone=False).snapshot.listeners] == ["a"]


def test_a_daemon_starts_on_a_disk_that_is_full(tmp_path: Path) -> None:
    def starts() -> None:
        small_disk(tmp_path, 1024)
        loader = StoreLoader(tmp_path / "state")
        loader.start()
        put(loader.store, serving(listener("a")))
        loader.close()
        fill(tmp_path / "filler", 0)
        again = StoreLoader(tmp_path / "state")
        assert [each.name for each in again.start().snapshot.listeners] == ["a"]

    in_child(starts)
