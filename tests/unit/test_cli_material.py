"""Certificates, keys and lists from files: what is sent of them, and what never is."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from support.fake_api import FakeApi, fake_api

from fastnlb.cli.main import main
from fastnlb.tls.material import self_signed

CHANGED = {"change": {"lines": ["~"]}}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.delenv("FASTNLB_URL", raising=False)
    with fake_api(tmp_path) as served:
        for kind in ("certificates", "ca-certificates"):
            served.on("POST", f"/api/v1/{kind}", CHANGED, status=201)
            served.on("PATCH", f"/api/v1/{kind}/www", CHANGED)
        yield served


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    chain, key = self_signed(["www.test"])
    (tmp_path / "www.pem").write_bytes(b"a remark\n" + chain)
    (tmp_path / "www.key").touch(mode=0o600)
    (tmp_path / "www.key").write_bytes(key)
    return chain.decode(), key.decode()


def run(api: FakeApi, *arguments: str, text: str | None = None) -> Result:
    words = [*arguments, "--admin", str(api.socket)]
    return CliRunner().invoke(main, words, catch_exceptions=False, input=text)


def test_a_certificate_and_its_key_are_sent_as_pem(api: FakeApi, pair: tuple[str, str], tmp_path: Path) -> None:
    files = ["--certificate", str(tmp_path / "www.pem"), "--private-key", str(tmp_path / "www.key")]
    result = run(api, "certificate", "create", "www", *files)
    assert (result.exit_code, result.stderr) == (0, "")
    assert api.last.body == {"name": "www", "certificate_pem": pair[0], "private_key_pem": pair[1]}


def test_the_key_may_be_in_the_certificates_file(api: FakeApi, pair: tuple[str, str], tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.touch(mode=0o600)
    both.write_text("".join(pair))
    assert run(api, "certificate", "update", "www", "--certificate", str(both)).exit_code == 0
    assert api.last.body == {"certificate_pem": pair[0], "private_key_pem": pair[1]}
    assert run(api, "certificate", "update", "www", "--certificate", str(tmp_path / "www.pem")).exit_code == 0
    assert api.last.body == {"certificate_pem": pair[0]}


def test_an_encrypted_key_is_opened_here(api: FakeApi, pair: tuple[str, str], tmp_path: Path) -> None:
    key = load_pem_private_key(pair[1].encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "www.key").write_bytes(locked)
    (tmp_path / "word").touch(mode=0o600)
    (tmp_path / "word").write_text("secret\n")
    files = ["--certificate", str(tmp_path / "www.pem"), "--private-key", str(tmp_path / "www.key")]
    word = ["--private-key-passphrase-file", str(tmp_path / "word")]
    assert run(api, "certificate", "create", "www", *files, *word).exit_code == 0
    assert api.last.body["private_key_pem"] == pair[1]
    refused = run(api, "certificate", "create", "www", *files)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("certificate www: private_key")
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["--certificate", "none.pem"], "certificate www: certificate: none.pem: cannot read: No such file"),
        (["--private-key", "www.pem"], "certificate www: private_key: www.pem has no PRIVATE KEY block"),
        (["--certificate", "www.key"], "certificate www: certificate: www.key has no CERTIFICATE block"),
        (["--private-key", "."], "certificate www: private_key: . is a directory"),
    ],
)
def test_a_file_of_no_use_is_named(
    api: FakeApi, pair: tuple[str, str], tmp_path: Path, files: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(api, "certificate", "update", "www", *files)
    assert (result.exit_code, api.asked) == (1, [])
    assert result.stderr.startswith(says)
    assert "PRIVATE KEY-----" not in result.output


def test_a_key_that_others_can_read_is_a_warning(api: FakeApi, pair: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "www.key").chmod(0o644)
    result = run(api, "certificate", "update", "www", "--private-key", str(tmp_path / "www.key"))
    assert result.exit_code == 0
    assert "others than its owner can read it" in result.stderr


def test_one_can_be_made_to_try_with(api: FakeApi) -> None:
    assert run(api, "certificate", "create", "www", "--self-signed", "www.test,10.0.0.1").exit_code == 0
    assert api.last.body == {"name": "www", "self_signed": ["www.test", "10.0.0.1"]}


def test_a_stapled_response_is_sent_in_base64(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "ocsp.der").write_bytes(b"\x30\x03abc")
    assert run(api, "certificate", "update", "www", "--ocsp-response", str(tmp_path / "ocsp.der")).exit_code == 0
    assert base64.b64decode(api.last.body["ocsp_response_base64"]) == b"\x30\x03abc"
    assert run(api, "certificate", "update", "www", "--unset", "ocsp_response").exit_code == 0
    assert api.last.body == {"ocsp_response_base64": None}


def test_authorities_with_a_list_in_either_form(api: FakeApi, pair: tuple[str, str], tmp_path: Path) -> None:
    crl = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"
    (tmp_path / "crl.pem").write_text(crl)
    (tmp_path / "crl.der").write_bytes(base64.b64decode("MAA="))
    bundle = ["--certificate", str(tmp_path / "www.pem")]
    for name in ("crl.pem", "crl.der"):
        more = ["--crl", str(tmp_path / name), "--verify-depth", "2"]
        assert run(api, "ca-certificate", "create", "staff", *bundle, *more).exit_code == 0
        assert api.last.body == {"name": "staff", "certificate_pem": pair[0], "crl_pem": crl, "verify_depth": 2}


def test_paths_in_a_file_are_relative_to_it(api: FakeApi, pair: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "www.yaml").write_text("{name: www, certificate: www.pem, private_key: www.key}\n")
    assert run(api, "certificate", "create", "-f", str(tmp_path / "www.yaml")).exit_code == 0
    assert api.last.body == {"name": "www", "certificate_pem": pair[0], "private_key_pem": pair[1]}
