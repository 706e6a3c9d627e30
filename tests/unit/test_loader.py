"""One file again and again: what a refresh takes over, what it keeps, and what it says about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.shelf import LAST_YEAR, NEXT_YEAR, Shelf, authority, pair

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import Loaded, Loader, load
from fastnlb.model import Staple
from fastnlb.tls.material import MaterialError, self_signed

TEXT = """\
version: 1
certificates:
  - {name: www, certificate: www.pem, private_key: www.key, ocsp_response: www.ocsp}
ca_certificates:
  - {name: staff, certificate: ca.pem, crl: ca.crl, verify_depth: 2}
server_groups:
  - {name: web, servers: [{address: 127.0.0.1, port: 8080}]}
listeners:
  - name: https
    protocol: TCPSSL
    port: 443
    server_group: web
    certificate: www
    ca_certificate: staff
"""
STAPLE = Staple(b"good", NEXT_YEAR)
SPENT = Staple(b"spent", LAST_YEAR)
BROKEN = MaterialError("it is broken")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Two certificate files, with what belongs to them; a test changes what they hold."""
    shelf = Shelf(www=pair("one"), ca=authority("ca", "crl"))
    shelf.held["www.ocsp"] = (STAPLE, "one")
    monkeypatch.setattr("fastnlb.config.load.MaterialCache", lambda: shelf)
    return shelf


@pytest.fixture
def loader(tmp_path: Path, shelf: Shelf) -> Loader:
    path = tmp_path / "fastnlb.yaml"
    path.write_text(TEXT)
    loader = Loader(path)
    assert loader.load().warnings == ()
    return loader


def said(loaded: Loaded) -> list[str]:
    return [problem.render("f") for problem in loaded.warnings]


def test_a_load_reads_everything(loader: Loader) -> None:
    snapshot = loader.refresh().snapshot
    (certificate,) = snapshot.certificates
    assert (certificate.chain_pem, certificate.staple) == (b"one", STAPLE)
    (staff,) = snapshot.ca_certificates
    assert (staff.bundle_pem, staff.crl_pem, staff.verify_depth) == (b"ca", b"crl", 2)


def test_a_refresh_without_a_change_is_the_same_snapshot(loader: Loader) -> None:
    first, second = loader.refresh(), loader.refresh()
    assert first == second
    assert first.snapshot == loader.load().snapshot


def test_a_new_certificate_is_taken(loader: Loader, shelf: Shelf) -> None:
    shelf.held |= {"www": pair("two"), "www.ocsp": (STAPLE, "two")}
    refreshed = loader.refresh()
    assert said(refreshed) == []
    assert [(each.chain_pem, each.staple) for each in refreshed.snapshot.certificates] == [(b"two", STAPLE)]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("certificate", "f:3:30: certificates[0].certificate"),
        ("private_key", "f:3:52: certificates[0].private_key"),
        ("private_key_passphrase_file", "f:3:30: certificates[0].certificate"),
    ],
)
def test_a_bad_certificate_keeps_the_old_one_and_says_why(
    loader: Loader, shelf: Shelf, part: str, place: str
) -> None:
    before = loader.refresh().snapshot
    shelf.held["www"] = MaterialError("it is broken", part)
    refreshed = loader.refresh()
    assert said(refreshed) == [f"{place}: warning: it is broken; the old one stays"]
    assert refreshed.snapshot == before
    assert loader.refresh().snapshot == before  # and what was kept is kept on
    shelf.held |= {"www": pair("two"), "www.ocsp": (STAPLE, "two")}
    assert loader.refresh().snapshot.certificates[0].chain_pem == b"two"


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("certificate", "f:5:32: ca_certificates[0].certificate"),
        ("crl", "f:5:45: ca_certificates[0].crl"),
    ],
)
def test_bad_authorities_keep_the_old_ones_and_say_why(loader: Loader, shelf: Shelf, part: str, place: str) -> None:
    before = loader.refresh().snapshot
    shelf.held["ca"] = MaterialError("it is broken", part)
    refreshed = loader.refresh()
    assert said(refreshed) == [f"{place}: warning: it is broken; the old one stays"]
    assert refreshed.snapshot == before


def test_a_new_crl_is_taken(loader: Loader, shelf: Shelf) -> None:
    shelf.held["ca"] = authority("ca", "new crl")
    assert loader.refresh().snapshot.ca_certificates[0].crl_pem == b"new crl"


def test_a_bad_staple_leaves_the_old_one_for_as_long_as_it_is_good(loader: Loader, shelf: Shelf) -> None:
    shelf.held["www.ocsp"] = MaterialError("it is broken", "ocsp_response")
    refreshed = loader.refresh()
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(NEXT_YEAR))
    assert said(refreshed) == [
        f"f:3:76: certificates[0].ocsp_response: warning: it is broken; the old one stays until {until}"
    ]
    assert refreshed.snapshot.certificates[0].staple == STAPLE


def test_an_old_staple_does_not_outlive_its_time(
    loader: Loader, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.held["www.ocsp"] = MaterialError("it is broken", "ocsp_response")
    monkeypatch.setattr("fastnlb.config.material.time.time", lambda: NEXT_YEAR)
    assert loader.refresh().snapshot.certificates[0].staple == STAPLE
    monkeypatch.setattr("fastnlb.config.material.time.time", lambda: NEXT_YEAR + 1)
    refreshed = loader.refresh()
    assert said(refreshed)[0].endswith("it is broken; the certificate is served without one")
    assert refreshed.snapshot.certificates[0].staple is None


def test_an_old_staple_is_not_sent_with_a_new_certificate(loader: Loader, shelf: Shelf) -> None:
    shelf.held["www"] = pair("two")
    refreshed = loader.refresh()
    assert said(refreshed)[0].endswith("www.ocsp is for another certificate; the certificate is served without one")
    assert [(each.chain_pem, each.staple) for each in refreshed.snapshot.certificates] == [(b"two", None)]


def test_an_old_certificate_that_stays_keeps_its_staple(loader: Loader, shelf: Shelf) -> None:
    shelf.held |= {"www": BROKEN, "www.ocsp": (Staple(b"of the new one", NEXT_YEAR), "two")}
    certificate = loader.refresh().snapshot.certificates[0]
    assert (certificate.chain_pem, certificate.staple) == (b"one", STAPLE)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (MaterialError("it is broken", "ocsp_response"), "it is broken"),
        ((SPENT, "one"), f"was of use until {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(LAST_YEAR))}"),
    ],
)
def test_a_bad_staple_is_no_error_on_a_load_either(tmp_path: Path, shelf: Shelf, held: object, why: str) -> None:
    shelf.held["www.ocsp"] = held
    (tmp_path / "f").write_text(TEXT)
    loaded = Loader(tmp_path / "f").load()
    (line,) = said(loaded)
    assert line.startswith("f:3:76: certificates[0].ocsp_response: warning: ")
    assert line.endswith(f"{why}; the certificate is served without one")
    assert loaded.snapshot.certificates[0].staple is None


def test_a_key_that_the_policy_cannot_serve_is_not_taken_either(tmp_path: Path, shelf: Shelf) -> None:
    own = "security_policies:\n  - {name: mine, tls_versions: [TLSv1.2], ciphers: [ECDHE-ECDSA-AES128-SHA]}\n"
    (tmp_path / "f").write_text(TEXT + "    security_policy: mine\n" + own)
    loader = Loader(tmp_path / "f")
    before = loader.load().snapshot
    shelf.held |= {"www": pair("two", "RSA"), "www.ocsp": (STAPLE, "two")}
    refreshed = loader.refresh()
    (line,) = said(refreshed)
    assert line.startswith('f:13:18: listeners[0].certificate: warning: the key of "www" is RSA, and no cipher of')
    assert line.endswith("; the old one stays")
    assert refreshed.snapshot == before


def test_a_refresh_does_not_look_at_the_yaml_file(loader: Loader, tmp_path: Path) -> None:
    before = loader.refresh()
    (tmp_path / "fastnlb.yaml").write_text("{")
    assert loader.refresh() == before
    with pytest.raises(ConfigError):
        loader.load()
    assert loader.refresh() == before
    (tmp_path / "fastnlb.yaml").unlink()
    assert loader.refresh() == before


def test_a_load_takes_the_yaml_file_anew(loader: Loader, tmp_path: Path) -> None:
    (tmp_path / "fastnlb.yaml").write_text(TEXT.replace("port: 443", "port: 444"))
    assert loader.refresh().snapshot.listeners[0].port == 443
    assert loader.load().snapshot.listeners[0].port == 444
    assert loader.refresh().snapshot.listeners[0].port == 444


def test_the_files_to_look_at(loader: Loader, tmp_path: Path) -> None:
    names = ("www.pem", "www.key", "ca.pem", "ca.crl")
    assert loader.files() == {tmp_path / name for name in names}
    assert loader.staple_files() == {tmp_path / "www.ocsp"}
    passphrase = TEXT.replace("private_key: www.key", "private_key_passphrase_file: /run/p")
    (tmp_path / "fastnlb.yaml").write_text(passphrase)
    loader.load()
    assert loader.files() == {tmp_path / "www.pem", tmp_path / "ca.pem", tmp_path / "ca.crl", Path("/run/p")}


@pytest.mark.parametrize("early", [Loader.refresh, Loader.files, Loader.staple_files])
def test_there_is_nothing_before_the_first_good_load(tmp_path: Path, early: Callable[[Loader], object]) -> None:
    loader = Loader(tmp_path / "gone.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        loader.load()
    with pytest.raises(RuntimeError, match="no good load"):
        early(loader)


def test_what_was_read_for_a_refused_load_does_not_replace_what_is_kept(
    loader: Loader, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.rounds.clear()
    (tmp_path / "fastnlb.yaml").write_text(TEXT + "workers: 0\n")
    with pytest.raises(ConfigError):
        loader.load()
    assert shelf.rounds == ["begin"]
    loader.refresh()
    assert shelf.rounds == ["begin", "begin", "end"]


def test_the_number_of_workers_stays_overridden(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "f").write_text(TEXT)
    loader = Loader(tmp_path / "f", workers_override=7)
    assert [loader.load().settings.workers, loader.refresh().settings.workers] == [7, 7]
    with pytest.raises(ConfigError, match="0 is out of range: workers takes 1 to 1024"):
        Loader(tmp_path / "f", workers_override=0).load()


def test_no_key_is_in_a_warning_or_repr(loader: Loader, shelf: Shelf) -> None:
    shelf.held["www"] = BROKEN
    refreshed = loader.refresh()
    assert refreshed.snapshot.certificates[0].key_pem == b"SECRET one"
    assert "SECRET" not in repr(refreshed)


def put_pair(folder: Path, names: list[str]) -> bytes:
    chain, key = self_signed(names)
    for name, contents in (("www.pem", chain), ("www.key", key)):
        fresh = folder / f"{name}.new"
        fresh.touch(0o600)
        fresh.write_bytes(contents)
        fresh.rename(folder / name)
    return chain


def test_real_files_in_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = put_pair(tmp_path, ["one.test"])
    plain = TEXT.replace(", ocsp_response: www.ocsp", "").replace("    ca_certificate: staff\n", "")
    start, end = plain.index("ca_certificates"), plain.index("server_groups")
    Path("fastnlb.yaml").write_text(plain[:start] + plain[end:])
    loader = Loader("fastnlb.yaml")
    assert loader.load().snapshot == load("fastnlb.yaml").snapshot
    monkeypatch.chdir("/")
    second = put_pair(tmp_path, ["two.test"])
    (certificate,) = loader.refresh().snapshot.certificates
    assert (certificate.chain_pem, certificate.names) == (second, ("two.test",))
    (tmp_path / "www.pem").write_bytes(first)
    (line,) = said(loader.refresh())
    assert "certificates[0].private_key: warning: " in line
    assert line.endswith("; the old one stays")
    (tmp_path / "www.pem").write_bytes(second[:100])
    (line,) = said(loader.refresh())
    assert line.startswith("f:3:30: certificates[0].certificate: warning: ")
    assert loader.refresh().snapshot.certificates == (certificate,)
