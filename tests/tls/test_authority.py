"""CA certificates and revocation lists: what is trusted, what is refused, and which clients will be refused."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.certs import DAY, HOUR, MD5_WITH_RSA, SHA1_WITH_RSA, SHA256_WITH_RSA, Issued, now

from fastnlb.tls.authority import MAX_BUNDLE_BYTES, MAX_CRL_BYTES, Authority, load_authority
from fastnlb.tls.files import MaterialError

ROOT = Issued.root("alpha")
OTHER = Issued.root("beta")
CLIENT = ROOT.issue("client")
CRL_OF_ROOT = ROOT.crl(CLIENT).public_bytes(Encoding.DER)
NO_CERT_SIGN = x509.KeyUsage(True, False, False, False, False, False, True, False, False)


def put(path: Path, *contents: bytes) -> Path:
    path.write_bytes(b"".join(contents))
    return path


def load(folder: Path, bundle: bytes, crl: bytes | None = None) -> Authority:
    crl_path = None if crl is None else put(folder / "crl.pem", crl)
    return load_authority(put(folder / "ca.pem", bundle), crl_path)


def refusal(folder: Path, bundle: bytes, crl: bytes | None = None) -> MaterialError:
    with pytest.raises(MaterialError) as caught:
        load(folder, bundle, crl)
    assert "\n" not in str(caught.value)
    return caught.value


def crl_pem(issuer: Issued, *revoked: Issued, **times: object) -> bytes:
    return issuer.crl(*revoked, **times).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def signed_with(issued: Issued, oid: bytes) -> bytes:
    """The certificate as if another digest had been signed; its signature is no longer good."""
    der = issued.certificate.public_bytes(Encoding.DER)
    assert der.count(SHA256_WITH_RSA) == 2
    return x509.load_der_x509_certificate(der.replace(SHA256_WITH_RSA, oid)).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_a_bundle_is_kept_without_what_surrounds_it(tmp_path: Path, kind: str) -> None:
    root = Issued.root(key=kind)
    middle = root.intermediate()
    authority = load(tmp_path, b"# ours\r\n" + root.pem + b"\n# issuing\n" + middle.pem)
    assert authority == Authority(root.pem + middle.pem)


def test_a_ca_without_key_usage_may_sign(tmp_path: Path) -> None:
    plain = x509.CertificateBuilder(
        ROOT.certificate.subject,
        ROOT.certificate.subject,
        ROOT.certificate.public_key(),
        7,
        now() - HOUR,
        now() + DAY,
    ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = plain.sign(ROOT.key, ROOT.certificate.signature_hash_algorithm)  # type: ignore[arg-type]
    pem = signed.public_bytes(Encoding.PEM)
    assert load(tmp_path, pem).bundle_pem == pem


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (CLIENT.pem, "(CN=client) is not a CA certificate"),
        (ROOT.issue(common_name="bare", basic_constraints=False).pem, "(CN=bare) is not a CA certificate"),
        (ROOT.intermediate("mute", key_usage=NO_CERT_SIGN).pem, "(CN=mute) is not a CA certificate"),
        (Issued.root("small", key="RSA-1024").pem, "(CN=small) has an RSA key of 1024 bits: 2048 are the least"),
        (
            signed_with(Issued.root(key="RSA").intermediate("weak"), SHA1_WITH_RSA),
            "(CN=weak) is signed with SHA-1, which can be forged: have it issued again with SHA-256",
        ),
        (signed_with(Issued.root(key="RSA").intermediate("weak"), MD5_WITH_RSA), "(CN=weak) is signed with MD5"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "cannot be decoded"),
    ],
    ids=["leaf", "no basicConstraints", "no keyCertSign", "RSA 1024", "SHA-1", "MD5", "damaged"],
)
def test_what_may_not_be_an_authority_is_refused_by_position_and_name(tmp_path: Path, bad: bytes, fault: str) -> None:
    error = refusal(tmp_path, ROOT.pem + bad)
    assert str(error).startswith(f"{tmp_path / 'ca.pem'}: certificate 2 of 2 ")
    assert fault in str(error)
    assert error.part == "certificate"


def test_the_signature_of_a_root_does_not_matter(tmp_path: Path) -> None:
    assert load(tmp_path, signed_with(Issued.root(key="RSA"), SHA1_WITH_RSA)).warnings == ()


@pytest.mark.parametrize("contents", [b"", b"nothing\n", CLIENT.key_pem])
def test_a_bundle_without_a_certificate_is_refused(tmp_path: Path, contents: bytes) -> None:
    assert "has no CERTIFICATE block: PEM with the certificates of one or more CAs" in str(
        refusal(tmp_path, contents)
    )


def test_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"x" * (MAX_BUNDLE_BYTES + 1))
    assert ("is over 4 MiB" in str(error), error.part) == (True, "certificate")
    error = refusal(tmp_path, ROOT.pem, b"x" * (MAX_CRL_BYTES + 1))
    assert ("is over 32 MiB" in str(error), error.part) == (True, "crl")


def test_a_duplicate_is_a_warning_and_is_kept_once(tmp_path: Path) -> None:
    authority = load(tmp_path, ROOT.pem + OTHER.pem + ROOT.pem)
    assert authority.bundle_pem == ROOT.pem + OTHER.pem
    (warning,) = authority.warnings
    assert "certificate 3 of 3 (CN=alpha) is also certificate 1: one of them is enough" in warning


def test_an_authority_out_of_its_time_is_a_warning_that_comes_and_goes(tmp_path: Path) -> None:
    begin, end = now() + DAY, now() + 2 * DAY
    authority = load(tmp_path, Issued.root("future", begin=begin, end=end).pem)
    assert ["is not valid before" in each for each in authority.warnings] == [True]
    assert authority.at(begin.timestamp()).warnings == authority.at(end.timestamp()).warnings == ()
    assert ["expired on" in each for each in authority.at(end.timestamp() + 1).warnings] == [True]


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_a_crl_may_be_pem_or_der_and_becomes_pem(tmp_path: Path, kind: str, form: Encoding) -> None:
    root = Issued.root(key=kind)
    crl = root.crl(root.issue("a"), root.issue("b"))
    authority = load(tmp_path, root.pem, crl.public_bytes(form))
    assert authority == Authority(root.pem, crl.public_bytes(Encoding.PEM))


def test_several_crls_are_kept_in_order(tmp_path: Path) -> None:
    crls = crl_pem(ROOT, CLIENT) + crl_pem(OTHER)
    assert load(tmp_path, ROOT.pem + OTHER.pem, crls) == Authority(ROOT.pem + OTHER.pem, crls)


def test_a_ca_without_a_crl_is_a_warning_about_its_clients(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, ROOT.pem + OTHER.pem, crl_pem(ROOT)).warnings
    assert warning.endswith("crl.pem has no CRL of CN=beta: every client of that CA will be refused")


def test_a_crl_with_the_name_but_not_the_key_of_a_ca_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, OTHER.pem + ROOT.pem, crl_pem(OTHER) + crl_pem(Issued.root("alpha")))
    assert "crl.pem: CRL 2 of 2 (CN=alpha) is not signed by the CA of that name: fetch it again" in str(error)
    assert error.part == "crl"


def test_a_crl_that_was_changed_is_refused(tmp_path: Path) -> None:
    der = ROOT.crl(CLIENT).public_bytes(Encoding.DER)
    serial = CLIENT.certificate.serial_number.to_bytes(20, "big").lstrip(b"\0")
    changed = der.replace(serial, serial[:-1] + bytes([serial[-1] ^ 1]))
    assert changed != der
    assert "is not signed by" in str(refusal(tmp_path, ROOT.pem, changed))


def test_of_two_authorities_with_one_name_each_needs_its_own_crl(tmp_path: Path) -> None:
    """As when a CA has been given a new key and both are still in use."""
    heir = Issued.root("alpha")
    bundle = ROOT.pem + heir.pem
    assert load(tmp_path, bundle, crl_pem(ROOT) + crl_pem(heir)).warnings == ()
    assert ["has no CRL of CN=alpha" in each for each in load(tmp_path, bundle, crl_pem(heir)).warnings] == [True]


def test_a_crl_of_an_intermediate_that_clients_send_is_a_warning(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, ROOT.pem, crl_pem(ROOT) + crl_pem(ROOT.intermediate("middle"))).warnings
    assert "CRL 2 of 2 (CN=middle) is by none of the CAs" in warning


def test_an_expired_crl_is_a_warning_about_its_clients(tmp_path: Path) -> None:
    begin, end = now() - 2 * DAY, now() - DAY
    authority = load(tmp_path, ROOT.pem, crl_pem(ROOT, begin=begin, end=end))
    (warning,) = authority.warnings
    assert f"CRL 1 of 1 (CN=alpha) expired on {end:%Y-%m-%d}" in warning
    assert warning.endswith("every client of that CA will be refused until there is a new one")


def test_a_crl_of_tomorrow_is_a_warning_about_its_clients(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, ROOT.pem, crl_pem(ROOT, begin=now() + DAY)).warnings
    assert "is not valid before" in warning
    assert warning.endswith("every client of that CA will be refused until then")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "CRL 1 of 1 cannot be decoded: one or more CRLs in PEM are needed, or one in DER"),
        (ROOT.pem, "CRL 1 of 1 cannot be decoded: one or more CRLs in PEM are needed, or one in DER"),
        (b"\x30\x03\x02\x01\x01", "CRL 1 of 1 cannot be decoded"),
        (crl_pem(ROOT) + b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", "CRL 2 of 2 cannot be decoded"),
    ],
    ids=["empty", "certificate", "DER of something else", "damaged"],
)
def test_a_file_that_holds_no_crl(tmp_path: Path, contents: bytes, message: str) -> None:
    error = refusal(tmp_path, ROOT.pem, contents)
    assert message in str(error)
    assert error.part == "crl"


def test_a_crl_file_that_cannot_be_read_is_the_crls_fault(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match=r"gone.pem: cannot read") as caught:
        load_authority(put(tmp_path / "ca.pem", ROOT.pem), tmp_path / "gone.pem")
    assert caught.value.part == "crl"


def test_a_crl_signed_with_a_weak_digest_is_said_to_be(tmp_path: Path) -> None:
    root = Issued.root(key="RSA")
    weak = root.crl().public_bytes(Encoding.DER).replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
    assert "is signed with SHA-1, which is not checked: SHA-256 is needed" in str(refusal(tmp_path, root.pem, weak))


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_a_refusal_or_harmless(data: st.DataObject, tmp_path: Path) -> None:
    """Nothing but MaterialError comes of one changed byte."""
    ca, crl = bytearray(ROOT.certificate.public_bytes(Encoding.DER)), bytearray(CRL_OF_ROOT)
    victim = data.draw(st.sampled_from([ca, crl]))
    victim[data.draw(st.integers(0, 9999)) % len(victim)] ^= data.draw(st.integers(1, 255))
    text = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(ca)
    with suppress(MaterialError):
        load(tmp_path, text, bytes(crl))
