"""Ten thousand certificates on one listener: all are served, and a change of one is the work of one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certs import Issued, make_key, private_pem
from support.daemon import resident_kib
from support.procs import free_port, wait_for
from support.rig import echo
from support.tls_client import TlsClient
from support.tls_site import TlsSite

from fastnlb.config.load import Loader
from fastnlb.model import Front, Offer
from fastnlb.tls import cache
from fastnlb.worker import contexts
from fastnlb.worker.compile import compile_offer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MANY = 10_000
MOST_KIB = 40  # of a worker for each certificate
PATIENCE = 240.0
ROOT, KEY = Issued.root(), make_key()


def issue(number: int, common_name: str = "") -> Issued:
    return ROOT.issue(f"h{number}.test", common_name=common_name or f"h{number}.test", key=KEY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates, made once, all with one key."""
    path = tmp_path_factory.mktemp("many")
    (path / "shared.key").touch(0o600)
    (path / "shared.key").write_bytes(private_pem(KEY))
    for number in range(MANY):
        (path / f"c{number}.pem").write_bytes(issue(number).pem)
    return path


@pytest.fixture
def site(folder: Path, backend: Callable[..., Any]) -> Iterator[TlsSite]:
    made = TlsSite(folder, backend(echo).address)
    yield made
    made.end()


def configure(site: TlsSite, port: int, count: int = MANY) -> None:
    names = [f"c{number}" for number in range(count)]
    blocks = [{"name": name, "certificate": f"{name}.pem", "private_key": "shared.key"} for name in names]
    listener = site.listener("l", port, certificate="c0", additional_certificates=names[1:])
    site.configure(certificates=blocks, listeners=[listener])


def renew(site: TlsSite, number: int, common_name: str) -> None:
    site.put("new", issue(number, common_name).pem).replace(site.folder / f"c{number}.pem")


def start(site: TlsSite) -> list[int]:
    site.start(ready_within=PATIENCE)
    return site.workers


def test_each_is_served_and_one_is_changed(site: TlsSite) -> None:
    port = free_port()
    configure(site, port)
    workers = start(site)
    assert [row["certificates"] for row in site.rows()] == [MANY] * len(workers)
    for number in (0, 1, MANY - 1, *random.Random(1).sample(range(MANY), 100)):  # noqa: S311
        assert site.visit(port, "TLSv1.3", name=f"h{number}.test".encode()).shown() == f"h{number}.test"
    with_all = [resident_kib(pid) for pid in workers]
    open_one = TlsClient(("127.0.0.1", port), "TLSv1.3", name=b"h7.test").handshake()
    renew(site, 7, "renewed")
    site.reload()
    wait_for(lambda: site.count("reloaded: "), f"the reload\n{site.running.output()}", PATIENCE)
    assert site.count("~ certificate ") == site.count("~ certificate c7: new chain") == 1
    assert site.shown_everywhere(port, name=b"h7.test") == {"renewed"}
    assert site.shown_everywhere(port, name=b"h8.test") == {"h8.test"}
    open_one.send(b"hello")
    assert open_one.receive_exactly(5) == b"hello"
    open_one.close()
    assert site.workers == workers
    for before, after in zip(with_all, [resident_kib(pid) for pid in workers], strict=True):
        assert after - before < before / 3, "a reload makes a worker grow"


def test_a_certificate_costs_a_worker_little_memory(site: TlsSite) -> None:
    sizes = []
    for count in (1, MANY):
        configure(site, free_port(), count)
        sizes.append(max(resident_kib(pid) for pid in start(site)))
        site.running.kill()
    assert (sizes[1] - sizes[0]) / MANY < MOST_KIB


def test_control_and_workers_parse_what_has_changed_and_nothing_else(
    site: TlsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load_pair = cache.load_pair
    monkeypatch.setattr(cache, "load_pair", lambda *paths: (read.append(paths[0]), load_pair(*paths))[1])
    built: list[str] = []
    add_certificate = contexts.add_certificate

    def count(context: Any, certificate: Any) -> None:
        built.append(certificate.name)
        add_certificate(context, certificate)

    monkeypatch.setattr(contexts, "add_certificate", count)
    configure(site, free_port())
    loader, made = Loader(site.file), contexts.Contexts()
    offers = [loader.load().snapshot]
    # A key that is as young as that is read again each time: wait_for asks until it is not.
    wait_for(lambda: (read.clear(), loader.load(), not read)[-1], "the files to have settled", PATIENCE)
    renew(site, 7, "renewed again")
    read.clear()
    offers.append(loader.load().snapshot)
    assert read == [site.folder / "c7.pem"]
    fronts = {"l": Front(-1, 1)}
    for generation, snapshot in enumerate(offers, 1):
        built.clear()
        made.hold(generation, compile_offer(Offer(snapshot, fronts), made).holds)
        made.keep_only({generation})
    assert built == ["c7"]
