"""The cache of certificates: nothing unchanged is parsed twice, nothing changed is missed, and time goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support.certs import HOUR, Issued, now, private_pem

from fastnlb.signature import signature
from fastnlb.tls import cache as module
from fastnlb.tls.cache import RACY_SECONDS, MaterialCache
from fastnlb.tls.files import MaterialError

ROOT = Issued.root()
ONE, TWO = ROOT.issue("one.example.com"), ROOT.issue("two.example.com")
LOADERS = ("load_pair", "load_authority", "load_staple")


class Clock:
    """Far enough ahead that the files of a test are settled."""

    def __init__(self) -> None:
        self.now = time.time() + 60

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> MaterialCache:
    return MaterialCache(clock)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each loader that was called."""
    calls: list[str] = []

    def counted(name: str, original: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: calls.append(name) or original(*arguments)

    for name in LOADERS:
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return calls


def test_an_unchanged_pair_is_parsed_once(cache: MaterialCache, parsed: list[str], tmp_path: Path) -> None:
    paths = ONE.write(tmp_path)
    first = cache.pair(*paths)
    assert cache.pair(*paths) is first
    assert parsed == ["load_pair"]
    assert first.names == ("one.example.com",)


def test_an_unchanged_authority_and_staple_are_parsed_once(
    cache: MaterialCache, parsed: list[str], tmp_path: Path
) -> None:
    middle = ROOT.intermediate()
    leaf = middle.issue("www.example.com")
    bundle, crl, response = tmp_path / "ca.pem", tmp_path / "ca.crl", tmp_path / "www.ocsp"
    bundle.write_bytes(ROOT.pem)
    crl.write_bytes(ROOT.crl().public_bytes(Encoding.DER))
    response.write_bytes(middle.ocsp(leaf))
    assert cache.authority(bundle, crl) is cache.authority(bundle, crl)
    assert cache.authority(bundle).crl_pem == b""
    assert cache.staple(response, leaf.chain_pem) is cache.staple(response, leaf.chain_pem)
    assert parsed == ["load_authority", "load_authority", "load_staple"]


@pytest.mark.parametrize("changed", [0, 1], ids=["certificate", "key"])
def test_a_change_to_either_file_is_noticed(
    cache: MaterialCache, parsed: list[str], tmp_path: Path, changed: int
) -> None:
    paths = ONE.write(tmp_path)
    cache.pair(*paths)
    paths[changed].write_bytes(paths[changed].read_bytes() + b"\n")
    cache.pair(*paths)
    assert parsed == ["load_pair"] * 2


def test_a_change_to_the_passphrase_file_is_noticed(cache: MaterialCache, tmp_path: Path) -> None:
    certificate, key = ONE.write(tmp_path)
    key.write_bytes(private_pem(ONE.key, b"secret"))
    passphrase = tmp_path / "pass"
    passphrase.write_bytes(b"secret")
    passphrase.chmod(0o600)
    cache.pair(certificate, key, passphrase)
    passphrase.write_bytes(b"wrong")
    with pytest.raises(MaterialError, match="holds another passphrase"):
        cache.pair(certificate, key, passphrase)


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_noticed(
    cache: MaterialCache, parsed: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(ROOT.pem)
    cache.authority(path)
    status = path.stat()
    heir = tmp_path / "new.pem"
    heir.write_bytes(ROOT.pem)
    os.utime(heir, ns=(status.st_atime_ns, status.st_mtime_ns))
    heir.rename(path)
    cache.authority(path)
    assert len(parsed) == 2


def test_a_symbolic_link_that_leads_elsewhere_is_noticed(cache: MaterialCache, tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted secret."""
    for each, folder in ((ONE, tmp_path / "1"), (TWO, tmp_path / "2")):
        folder.mkdir()
        each.write(folder)
    link = tmp_path / "data"
    link.symlink_to("1")
    paths = link / "server.pem", link / "server.key"
    assert cache.pair(*paths).names == ("one.example.com",)
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(link)
    assert cache.pair(*paths).names == ("two.example.com",)


def test_a_change_behind_a_symbolic_link_is_noticed(cache: MaterialCache, tmp_path: Path) -> None:
    """As certbot keeps live/ and archive/ apart, but written in place."""
    folder = tmp_path / "archive"
    folder.mkdir()
    paths = tmp_path / "live.pem", tmp_path / "live.key"
    for link, path in zip(paths, ONE.write(folder), strict=True):
        link.symlink_to(path)
    assert cache.pair(*paths).names == ("one.example.com",)
    TWO.write(folder)
    assert cache.pair(*paths).names == ("two.example.com",)


def test_other_access_rights_are_noticed(cache: MaterialCache, tmp_path: Path) -> None:
    paths = ONE.write(tmp_path)
    assert cache.pair(*paths).warnings == ()
    paths[1].chmod(0o644)
    assert ["chmod 600 it" in each for each in cache.pair(*paths).warnings] == [True]


@pytest.mark.parametrize(("age", "kept"), [(-60, False), (0, False), (RACY_SECONDS, False), (RACY_SECONDS + 1, True)])
def test_a_file_that_was_just_written_is_not_trusted_to_be_unchanged(
    clock: Clock, parsed: list[str], tmp_path: Path, age: float, kept: bool
) -> None:
    cache = MaterialCache(clock)
    paths = ONE.write(tmp_path)
    for path in paths:
        os.utime(path, (1000, 1000))
    os.utime(paths[1], (2000, 2000))
    clock.now = 2000 + age
    cache.pair(*paths)
    clock.now += 3600
    cache.pair(*paths)
    assert len(parsed) == (1 if kept else 2)
    cache.pair(*paths)
    assert len(parsed) == (1 if kept else 2)


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    cache: MaterialCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = ONE.write(tmp_path)
    original = module.load_pair

    def replaced_meanwhile(*paths: Path) -> object:
        pair = original(*paths)
        monkeypatch.setattr(module, "load_pair", original)
        TWO.write(tmp_path)
        return pair

    monkeypatch.setattr(module, "load_pair", replaced_meanwhile)
    assert cache.pair(certificate, key).names == ("one.example.com",)
    assert cache.pair(certificate, key).names == ("two.example.com",)


def test_an_error_is_not_kept(cache: MaterialCache, tmp_path: Path) -> None:
    certificate, key = ONE.write(tmp_path)
    good = certificate.read_bytes()
    certificate.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(MaterialError, match="has no CERTIFICATE block"):
            cache.pair(certificate, key)
    certificate.write_bytes(good)
    assert cache.pair(certificate, key).names == ("one.example.com",)
    certificate.unlink()
    with pytest.raises(MaterialError, match="No such file"):
        cache.pair(certificate, key)


def test_a_kept_certificate_expires_all_the_same(
    cache: MaterialCache, clock: Clock, parsed: list[str], tmp_path: Path
) -> None:
    end = now() + HOUR
    paths = ROOT.issue("www.example.com", end=end).write(tmp_path)
    assert cache.pair(*paths).warnings == ()
    clock.now = end.timestamp() + 1
    assert ["expired on" in each for each in cache.pair(*paths).warnings] == [True]
    clock.now = end.timestamp() - 1
    assert cache.pair(*paths).warnings == ()
    assert parsed == ["load_pair"]


def test_a_kept_authority_expires_all_the_same(cache: MaterialCache, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(Issued.root(end=now() + HOUR).pem)
    assert cache.authority(path).warnings == ()
    clock.now += 7200
    assert ["expired on" in each for each in cache.authority(path).warnings] == [True]


def test_a_kept_staple_that_has_expired_is_refused(cache: MaterialCache, clock: Clock, tmp_path: Path) -> None:
    middle = ROOT.intermediate()
    leaf = middle.issue("www.example.com")
    path = tmp_path / "www.ocsp"
    path.write_bytes(middle.ocsp(leaf, end=now() + HOUR))
    assert cache.staple(path, leaf.chain_pem).until > clock.now
    clock.now += 7200
    with pytest.raises(MaterialError, match="expired on") as caught:
        cache.staple(path, leaf.chain_pem)
    assert caught.value.part == "ocsp_response"


def test_a_staple_is_checked_again_for_another_certificate(cache: MaterialCache, tmp_path: Path) -> None:
    middle = ROOT.intermediate()
    leaf, other = middle.issue("www.example.com"), middle.issue("other.example.com")
    path = tmp_path / "www.ocsp"
    path.write_bytes(middle.ocsp(leaf))
    cache.staple(path, leaf.chain_pem)
    with pytest.raises(MaterialError, match="is about another certificate"):
        cache.staple(path, other.chain_pem)


def test_what_a_load_does_not_ask_for_is_dropped_at_its_end(
    cache: MaterialCache, parsed: list[str], tmp_path: Path
) -> None:
    one, two = ONE.write(tmp_path, "one"), TWO.write(tmp_path, "two")
    for wanted in ([one, two], [two], [one, two]):
        cache.begin()
        for paths in wanted:
            cache.pair(*paths)
        cache.end()
    assert len(parsed) == 3


def test_a_load_that_is_refused_drops_nothing(cache: MaterialCache, parsed: list[str], tmp_path: Path) -> None:
    one, two = ONE.write(tmp_path, "one"), TWO.write(tmp_path, "two")
    for wanted, refused in (([one, two], False), ([two], True), ([one, two], False)):
        cache.begin()
        for paths in wanted:
            cache.pair(*paths)
        if not refused:
            cache.end()
    assert len(parsed) == 2


def test_no_key_is_in_a_repr(cache: MaterialCache, tmp_path: Path) -> None:
    cache.pair(*ONE.write(tmp_path))
    line = ONE.key_pem.splitlines()[1].decode()
    assert line not in repr(cache) + repr(vars(cache))


def test_the_signature_of_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert signature(tmp_path / "gone") is None
    assert signature("a\0b") is None
    assert signature(tmp_path) == signature(str(tmp_path)) is not None
