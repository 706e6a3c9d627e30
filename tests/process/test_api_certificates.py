"""Certificates and CA certificates over the API, in store mode: served, renewed, and what of them is shown."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.api import Api, Managed
from support.site import certificate_of, tls_client

from fastnlb.tls.material import self_signed


@pytest.fixture
def api(managed: Managed) -> Api:
    return managed.api


def pem_pair(*names: str) -> dict[str, str]:
    chain, key = self_signed(list(names))
    return {"certificate_pem": chain.decode(), "private_key_pem": key.decode()}


def test_a_certificate_is_served_renewed_in_place_and_its_key_never_comes_back(managed: Managed, api: Api) -> None:
    pair = pem_pair("first.test")
    made = api.post("certificates", {"name": "www", **pair})
    assert made.status == 201
    assert made.json["state"]["names"] == ["first.test"]
    port = managed.serving(protocol="TCPSSL", certificate="www")
    before = certificate_of(port)
    with tls_client(port) as client:
        renewed = api.patch("certificates/www", pem_pair("second.test"))
        assert renewed.json["state"]["names"] == ["second.test"]
        assert renewed.json["state"]["used_by"] == ["l"]
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    assert certificate_of(port) != before
    for path in ("certificates", "certificates/www", "export", "revisions/1", "revisions/1/diff?to=2", "status"):
        answer = api.get(path)
        assert answer.status == 200
        assert b"PRIVATE KEY" not in answer.body
    output = managed.running.output()
    assert "PRIVATE KEY" not in output and pair["private_key_pem"].splitlines()[1] not in output


def test_certificate_and_key_may_come_as_one_text_and_be_made_to_try_with(managed: Managed, api: Api) -> None:
    pair = pem_pair("one.test")
    assert api.post("certificates", {"name": "a", "certificate_pem": "".join(pair.values())}).status == 201
    assert api.post("certificates", {"name": "b", "self_signed": ["try.test"]}).json["state"]["names"] == ["try.test"]


def test_material_that_does_not_fit_is_named_at_its_field(managed: Managed, api: Api) -> None:
    pair = {**pem_pair("a.test"), "private_key_pem": pem_pair("b.test")["private_key_pem"]}
    refused = api.post("certificates", {"name": "www", **pair})
    assert list(refused.faults) == ["private_key_pem"]
    assert str(managed.state) not in refused.body.decode()
    assert list(api.post("certificates", {"name": "www", "certificate_pem": "hello"}).faults) == ["certificate_pem"]
    assert list(api.post("certificates", {"name": "www"}).faults) == ["certificate_pem"]
    path = api.post("certificates", {"name": "www", "certificate_pem": "x", "certificate": "/etc/shadow"})
    assert list(path.faults) == ["certificate"]


def test_mutual_authentication_is_switched_on_and_off(managed: Managed, api: Api) -> None:
    api.post("certificates", {"name": "www", "self_signed": ["localhost"]})
    leaf = api.post("ca-certificates", {"name": "staff", "certificate_pem": self_signed(["staff"])[0].decode()})
    assert "certificate_pem" in leaf.faults  # no CA certificate
    port = managed.serving(protocol="TCPSSL", certificate="www")
    assert "ca_certificate" in api.patch("listeners/l", {"ca_certificate": "staff"}).faults
    assert api.post("ca-certificates", {"name": "staff", "certificate_pem": authority(managed)[0]}).status == 201

    def is_served() -> bool:
        """A client without a certificate."""
        try:
            with tls_client(port) as client:
                client.sendall(b"hello")
                return client.recv(5) == b"hello"
        except OSError:
            return False

    assert api.patch("listeners/l", {"ca_certificate": "staff"}).status == 200
    assert not is_served()
    assert api.delete("ca-certificates/staff").problem["code"] == "ResourceInUse.CaCertificate"
    assert api.patch("listeners/l", {"ca_certificate": None}).status == 200
    assert is_served()


def authority(managed: Managed) -> tuple[str, str]:
    """A CA certificate and its key."""
    certificate, key = managed.folder / "ca.pem", managed.folder / "ca.key"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ca"]
    words += ["-days", "9", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    return certificate.read_text(), key.read_text()


@pytest.mark.parametrize("field", ["certificate_pem", "crl_pem"])
def test_a_key_among_what_is_shown_is_refused(managed: Managed, api: Api, field: str) -> None:
    certificate, key = authority(managed)
    sent = {"name": "ca", "certificate_pem": certificate}
    refused = api.post("ca-certificates", {**sent, field: sent.get(field, "") + key})
    assert list(refused.faults) == [field]
    assert api.post("ca-certificates", sent).status == 201


@pytest.mark.parametrize("label", ["PRIVATE KEY ", "PGP PRIVATE KEY BLOCK", "private key", "NONSENSE"])
def test_what_is_no_certificate_is_neither_kept_nor_shown(managed: Managed, api: Api, label: str) -> None:
    certificate, key = authority(managed)
    pair, other = pem_pair("a.test"), key.replace("PRIVATE KEY", label)
    mixed = pair["certificate_pem"] + other
    assert api.post("certificates", {"name": "www", **pair, "certificate_pem": mixed}).status == 201
    refused = "PRIVATE KEY" in label  # whoever sends a key with a CA certificate takes it for something else
    sent = api.post("ca-certificates", {"name": "ca", "certificate_pem": other + certificate})
    assert sent.status == (400 if refused else 201)
    for path in ("certificates", "certificates/www", "ca-certificates", "export", "revisions/1"):
        answer = api.get(path)
        assert answer.status == 200
        assert other.splitlines()[1] not in answer.body.decode()
    assert api.patch("certificates/www", pem_pair("b.test")).json["state"]["names"] == ["b.test"]
    assert api.delete("certificates/www").status == 200


def test_a_certificate_that_an_older_version_took_in_with_other_things_can_be_replaced_and_deleted(
    managed: Managed, api: Api
) -> None:
    """Its file has not the digest that it is named by; the daemon has it from the text that was sent."""
    pair = pem_pair("a.test")
    for name in ("one", "two"):
        assert api.post("certificates", {"name": name, **pair, "tags": {"n": name}}).status == 201
    (held,) = (managed.state / "material").glob("*.pem")
    secret = pair["private_key_pem"].replace("PRIVATE KEY", "WHATEVER KEY")
    held.write_bytes(held.read_bytes() + secret.encode())
    shown = api.get("certificates/one")
    assert (shown.status, secret.splitlines()[1] in shown.body.decode()) == (200, False)
    assert api.patch("certificates/one", pem_pair("b.test")).json["state"]["names"] == ["b.test"]
    assert api.delete("certificates/two").status == 200


def test_a_key_that_was_imported_with_a_ca_certificate_is_not_shown(tmp_path: Path, echo: tuple[str, int]) -> None:
    managed = Managed(tmp_path, echo)
    (tmp_path / "both.pem").write_text("".join(authority(managed)))
    managed.settings(
        f"admin: {{listen: '127.0.0.1:{managed.port}'}}\nca_certificates: [{{name: ca, certificate: both.pem}}]\n"
    )
    managed.start()
    try:
        shown = managed.api.get("ca-certificates/ca")
        assert shown.json["state"]["subjects"]
        for path in ("ca-certificates/ca", "ca-certificates", "export", "revisions/1"):
            assert b"PRIVATE KEY" not in managed.api.get(path).body
    finally:
        managed.running.kill()


def test_what_is_sent_whole_keeps_the_key_and_nothing_else(managed: Managed, api: Api) -> None:
    pair = pem_pair("a.test")
    assert api.post("certificates", {"name": "www", **pair, "tags": {"a": "b"}}).status == 201
    replaced = api.put("certificates/www", {"certificate_pem": pair["certificate_pem"]})
    assert (replaced.status, replaced.json["tags"]) == (200, {})
    assert list(api.put("certificates/www", {"tags": {}}).faults) == ["certificate_pem"]
    assert api.patch("certificates/www", {"tags": {"c": "d"}}).json["state"]["names"] == ["a.test"]
