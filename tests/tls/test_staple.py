"""OCSP responses to staple: only one that a client would believe about this certificate gets through."""

from __future__ import annotations

import base64
import datetime
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate, ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.certs import (
    DAY,
    HOUR,
    OCSP_SIGNING,
    REVOKED,
    SERVER,
    SHA1_WITH_RSA,
    SHA256_WITH_RSA,
    UNKNOWN,
    Issued,
    now,
)

from fastnlb.model import Staple
from fastnlb.tls.files import MaterialError
from fastnlb.tls.staple import CLOCK_TOLERANCE, MAX_STAPLE_BYTES, load_staple

ROOT = Issued.root()
ISSUER = ROOT.intermediate("issuing")
LEAF = ISSUER.issue("www.example.com")
SIBLING = ISSUER.issue("other.example.com")
CHAIN = LEAF.chain_pem
RESPONDER = ISSUER.issue(common_name="responder", usages=[OCSP_SIGNING])
ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
BASIC_RESPONSE = bytes.fromhex("06092b0601050507300101")
DELEGATED = ISSUER.ocsp(LEAF, responder=RESPONDER, enclosed=[RESPONDER])
MINUTE = datetime.timedelta(minutes=1)


def load(folder: Path, der: bytes, chain: bytes = CHAIN, at: float | None = None) -> Staple:
    path = folder / "www.ocsp"
    path.write_bytes(der)
    return load_staple(path, chain, at)


def refusal(folder: Path, der: bytes, chain: bytes = CHAIN, at: float | None = None) -> str:
    with pytest.raises(MaterialError) as caught:
        load(folder, der, chain, at)
    assert caught.value.part == "ocsp_response"
    message = str(caught.value)
    assert message.startswith(str(folder / "www.ocsp"))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "Ed25519"])
@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()], ids=["SHA-1", "SHA-256"])  # noqa: S303
def test_a_good_response_of_the_issuer_is_stapled_until_its_next_update(
    tmp_path: Path, kind: str, digest: hashes.HashAlgorithm
) -> None:
    root = Issued.root(key=kind)
    issuer = root.intermediate(key=kind)
    leaf = issuer.issue("www.example.com", key=kind)
    until = now() + DAY
    der = issuer.ocsp(leaf, end=until, digest=digest)
    assert load(tmp_path, der, leaf.chain_pem) == Staple(der, int(until.timestamp()))
    assert load(tmp_path, der, leaf.chain_pem + root.pem) == Staple(der, int(until.timestamp()))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "cannot be decoded: it is damaged or no OCSP response; fetch a new one"),
        (b"\x30\x03\x02\x01\x01", "cannot be decoded"),
        (b"x" * (MAX_STAPLE_BYTES + 1), "is over 64 KiB: an OCSP response in DER"),
        (
            b"-----BEGIN OCSP RESPONSE-----\n"
            + base64.encodebytes(ISSUER.ocsp(LEAF))
            + b"-----END OCSP RESPONSE-----\n",
            "is PEM, and an OCSP response has to be DER: remove its first and last line and decode the rest",
        ),
    ],
    ids=["empty", "other DER", "large", "PEM"],
)
def test_a_file_that_holds_no_response(tmp_path: Path, contents: bytes, message: str) -> None:
    assert message in refusal(tmp_path, contents)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "gone", "cannot read: No such file"), (tmp_path, "is a directory")):
        with pytest.raises(MaterialError, match=message) as caught:
            load_staple(path, CHAIN)
        assert caught.value.part == "ocsp_response"


def test_an_error_of_the_responder_is_no_answer(tmp_path: Path) -> None:
    error = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert "is the error TRY_LATER of the responder" in refusal(tmp_path, error.public_bytes(Encoding.DER))


def test_a_revoked_certificate_is_said_to_be(tmp_path: Path) -> None:
    when = now() - HOUR
    message = refusal(tmp_path, ISSUER.ocsp(LEAF, REVOKED, begin=when))
    assert f"says that the certificate was revoked on {when:%Y-%m-%d %H:%M} UTC: replace the certificate" in message


def test_an_unknown_certificate_is_said_to_be(tmp_path: Path) -> None:
    assert "the responder does not know the certificate" in refusal(tmp_path, ISSUER.ocsp(LEAF, UNKNOWN))


def test_a_response_about_another_certificate_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, ISSUER.ocsp(SIBLING))
    assert (
        f"is about another certificate than CN=www.example.com, serial {LEAF.certificate.serial_number:x}" in message
    )


@pytest.mark.parametrize(
    "stranger", [Issued.root("issuing"), Issued.root("elsewhere", key=ISSUER.key)], ids=["other key", "other name"]
)
def test_a_response_about_the_same_serial_of_another_issuer_is_refused(tmp_path: Path, stranger: Issued) -> None:
    twin = stranger.issue("www.example.com", serial=LEAF.certificate.serial_number)
    assert "is about another certificate" in refusal(tmp_path, stranger.ocsp(twin, responder=ISSUER))


def test_a_response_about_several_certificates_is_searched(tmp_path: Path) -> None:
    merged = merge(ISSUER.ocsp(SIBLING, REVOKED), ISSUER.ocsp(LEAF))
    assert [each.serial_number for each in ocsp.load_der_ocsp_response(merged).responses] == [
        SIBLING.certificate.serial_number,
        LEAF.certificate.serial_number,
    ]
    assert load(tmp_path, merged).der == merged
    assert "was revoked" in refusal(tmp_path, merged, SIBLING.chain_pem)


@pytest.mark.parametrize(("early", "refused"), [(0, False), (CLOCK_TOLERANCE, False), (CLOCK_TOLERANCE + 1, True)])
def test_a_responders_clock_may_be_a_little_ahead(tmp_path: Path, early: int, refused: bool) -> None:
    begin = now()
    der, at = ISSUER.ocsp(LEAF, begin=begin), begin.timestamp() - early
    if refused:
        assert "is not valid before" in refusal(tmp_path, der, at=at)
    else:
        assert load(tmp_path, der, at=at).der == der


@pytest.mark.parametrize(("late", "refused"), [(0, False), (1, True)])
def test_a_response_ends_with_its_next_update(tmp_path: Path, late: int, refused: bool) -> None:
    end = now() + HOUR
    der, at = ISSUER.ocsp(LEAF, end=end), end.timestamp() + late
    if refused:
        assert f"expired on {end:%Y-%m-%d %H:%M} UTC: fetch a new one" in refusal(tmp_path, der, at=at)
    else:
        assert load(tmp_path, der, at=at).until == at


def test_a_response_that_never_ends_is_refused(tmp_path: Path) -> None:
    assert "no nextUpdate" in refusal(tmp_path, ISSUER.ocsp(LEAF, next_update=False))


def test_a_self_signed_leaf_has_no_staple(tmp_path: Path) -> None:
    message = refusal(tmp_path, ROOT.ocsp(ROOT), ROOT.pem)
    assert "the certificate is self-signed, and for such a one no OCSP response can be stapled" in message


def test_a_chain_without_the_issuer_cannot_be_checked_against(tmp_path: Path) -> None:
    message = refusal(tmp_path, ISSUER.ocsp(LEAF), LEAF.pem)
    assert "the chain lacks the issuer, so the response cannot be checked: add CN=issuing after the leaf" in message


def test_a_response_signed_by_a_stranger_is_refused(tmp_path: Path) -> None:
    for stranger in (ROOT, SIBLING, Issued.root("issuing")):
        message = refusal(tmp_path, ISSUER.ocsp(LEAF, responder=stranger))
        assert "is signed neither by CN=issuing nor by a responder of it" in message


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_a_responder_that_the_issuer_named_may_sign(tmp_path: Path, kind: str) -> None:
    responder = ISSUER.issue(common_name="responder", key=kind, usages=[OCSP_SIGNING])
    der = ISSUER.ocsp(LEAF, responder=responder, enclosed=[SIBLING, responder])
    assert load(tmp_path, der).der == der


def test_a_response_does_not_outlive_its_responder(tmp_path: Path) -> None:
    end = now() + HOUR
    responder = ISSUER.issue(common_name="responder", usages=[OCSP_SIGNING], end=end)
    assert load(tmp_path, ISSUER.ocsp(LEAF, responder=responder, enclosed=[responder])).until == end.timestamp()


@pytest.mark.parametrize(
    ("responder", "fault"),
    [
        (ROOT.issue(common_name="responder", usages=[OCSP_SIGNING]), "which CN=issuing did not issue"),
        (ISSUER.issue(common_name="responder", usages=[SERVER]), "which is not for OCSP signing"),
        (ISSUER.issue(common_name="responder"), "which is not for OCSP signing"),
        (
            ISSUER.issue(common_name="responder", usages=[OCSP_SIGNING], begin=now() - DAY, end=now() - MINUTE),
            "which is not valid now",
        ),
        (
            ISSUER.issue(common_name="responder", usages=[OCSP_SIGNING], begin=now() + HOUR),
            "which is not valid now",
        ),
    ],
    ids=["of another issuer", "other usage", "no usage", "expired", "not yet valid"],
)
def test_a_responder_that_may_not_sign(tmp_path: Path, responder: Issued, fault: str) -> None:
    message = refusal(tmp_path, ISSUER.ocsp(LEAF, responder=responder, enclosed=[responder]))
    assert f"is signed by CN=responder, {fault}" in message


def test_a_responder_whose_certificate_cannot_be_checked_may_not_sign(tmp_path: Path) -> None:
    issuer = ROOT.intermediate("issuing", key="RSA")
    leaf, responder = issuer.issue("www.example.com"), issuer.issue(common_name="responder", usages=[OCSP_SIGNING])
    weak = load_der_x509_certificate(
        responder.certificate.public_bytes(Encoding.DER).replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
    )
    der = issuer.ocsp(leaf, responder=responder, enclosed=[Issued(weak, responder.key)])
    assert "is signed by CN=responder, which CN=issuing did not issue" in refusal(tmp_path, der, leaf.chain_pem)


def test_a_responder_that_is_not_enclosed_cannot_be_checked(tmp_path: Path) -> None:
    assert "is signed neither by" in refusal(tmp_path, ISSUER.ocsp(LEAF, responder=RESPONDER))


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_a_refusal(data: st.DataObject, tmp_path: Path) -> None:
    """Nothing but MaterialError comes of one changed byte, and none that was signed can be changed."""
    der = bytearray(DELEGATED)
    signed = ocsp.load_der_ocsp_response(bytes(der)).tbs_response_bytes
    begin = der.index(signed)
    at = data.draw(st.integers(0, 9999)) % len(der)
    der[at] ^= data.draw(st.integers(1, 255))
    if begin <= at < begin + len(signed):
        refusal(tmp_path, bytes(der))
    else:
        with suppress(MaterialError):
            load(tmp_path, bytes(der))


def merge(first: bytes, second: bytes) -> bytes:
    """One response by ISSUER with the single responses of both; cryptography's builder takes only one."""
    # ResponseData is the responder, the instant of production, and the SEQUENCE OF SingleResponse.
    responder, produced, singles = elements(ocsp.load_der_ocsp_response(first).tbs_response_bytes)
    *_, others = elements(ocsp.load_der_ocsp_response(second).tbs_response_bytes)
    both = sequence(*elements(singles), *elements(others))
    signed = sequence(responder, produced, both)
    assert isinstance(ISSUER.key, ec.EllipticCurvePrivateKey)
    signature = tlv(0x03, b"\0" + ISSUER.key.sign(signed, ec.ECDSA(hashes.SHA256())))
    basic = sequence(signed, sequence(ECDSA_WITH_SHA256), signature)
    return sequence(b"\x0a\x01\x00", tlv(0xA0, sequence(BASIC_RESPONSE, tlv(0x04, basic))))


def elements(der: bytes) -> list[bytes]:
    """What the DER value `der` is made of."""
    found, at = [], header(der)[0]
    while at < len(der):
        start, length = header(der[at:])
        found.append(der[at : at + start + length])
        at += start + length
    return found


def header(der: bytes) -> tuple[int, int]:
    """(where its contents begin, their length)"""
    if der[1] < 0x80:
        return 2, der[1]
    size = der[1] & 0x7F
    return 2 + size, int.from_bytes(der[2 : 2 + size], "big")


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


def tlv(tag: int, value: bytes) -> bytes:
    length = len(value)
    if length < 0x80:
        return bytes([tag, length]) + value
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + value
