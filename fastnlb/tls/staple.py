"""OCSP responses to staple: read from a file and checked as a client would check them.

The TLS library staples whatever parses, so a response of another certificate, or one that says "revoked", would go
out and make clients fail.  What leaves here is about the leaf, says good, is signed, and is in its time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from fastnlb.model import Staple
from fastnlb.tls.chain import issued
from fastnlb.tls.files import MaterialError, read
from fastnlb.tls.notice import instant
from fastnlb.tls.pem import UNDECODABLE, issuer, subject, weak_digest, without_remarks

MAX_STAPLE_BYTES = 64 * 1024
CLOCK_TOLERANCE = 300
"""Seconds by which a responder's clock may be ahead of ours."""
_PART = "ocsp_response"
_FETCH = "fetch a new one from the responder"


@without_remarks()
def load_staple(path: Path | str, chain_pem: bytes, now: float | None = None) -> Staple:
    """The OCSP response (DER) in this file, for the leaf of `chain_pem`, the chain of a Pair.  `now` in Unix seconds.

    `until` is its next update, or the end of a responder's own certificate if that is earlier.  Raises MaterialError
    with the part "ocsp_response" for everything that would make a client refuse it.
    """
    name = str(path)
    when = time.time() if now is None else now
    der = read(path, _PART, MAX_STAPLE_BYTES, "an OCSP response in DER").raw
    response = _decode(der, name)
    chain = x509.load_pem_x509_certificates(chain_pem)
    leaf, parent = chain[0], _issuer(chain, name)
    single = _single(response, leaf, parent, name)
    _check_status(single, name)
    until = min(_check_time(single, when, name), _check_signature(response, parent, when, name))
    return Staple(der, int(until))


def _refuse(message: str) -> MaterialError:
    return MaterialError(message, _PART)


def _decode(der: bytes, name: str) -> ocsp.OCSPResponse:
    if der.lstrip().startswith(b"-----BEGIN"):
        how = "remove its first and last line and decode the rest with base64 -d"
        raise _refuse(f"{name} is PEM, and an OCSP response has to be DER: {how}")
    try:
        response = ocsp.load_der_ocsp_response(der)
        status = response.response_status
    except UNDECODABLE:
        raise _refuse(f"{name} cannot be decoded: it is damaged or no OCSP response; {_FETCH}") from None
    if status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise _refuse(f"{name} is the error {status.name} of the responder and no answer: {_FETCH}")
    return response


def _issuer(chain: list[x509.Certificate], name: str) -> x509.Certificate:
    leaf = chain[0]
    if leaf.issuer == leaf.subject:
        raise _refuse(f"{name}: the certificate is self-signed, and for such a one no OCSP response can be stapled")
    if len(chain) == 1:
        why = f"the chain lacks the issuer, so the response cannot be checked: add {issuer(leaf)}"
        raise _refuse(f"{name}: {why} after the leaf in the certificate's file")
    return chain[1]


def _single(
    response: ocsp.OCSPResponse, leaf: x509.Certificate, parent: x509.Certificate, name: str
) -> ocsp.OCSPSingleResponse:
    """The part of the response about `leaf`; responders may answer for several certificates at once."""
    try:
        for single in response.responses:
            if single.serial_number == leaf.serial_number and _is_from(single, leaf, parent):
                return single
    except UNDECODABLE:
        raise _refuse(f"{name} cannot be decoded: it is damaged; {_FETCH}") from None
    raise _refuse(
        f"{name} is about another certificate than {subject(leaf)}, serial {leaf.serial_number:x}: {_FETCH}"
    )


def _is_from(single: ocsp.OCSPSingleResponse, leaf: x509.Certificate, parent: x509.Certificate) -> bool:
    # A request hashes the names as they are encoded; what cryptography gives as a Name might be encoded otherwise.
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, parent, single.hash_algorithm).build()
    same_name = asked.issuer_name_hash == single.issuer_name_hash
    return same_name and asked.issuer_key_hash == single.issuer_key_hash


def _check_status(single: ocsp.OCSPSingleResponse, name: str) -> None:
    status = single.certificate_status
    if status is ocsp.OCSPCertStatus.REVOKED and single.revocation_time_utc is not None:
        when = instant(single.revocation_time_utc)
        raise _refuse(f"{name} says that the certificate was revoked on {when}: replace the certificate")
    if status is not ocsp.OCSPCertStatus.GOOD:
        raise _refuse(
            f"{name} says that the responder does not know the certificate: ask the responder of its issuer"
        )


def _check_time(single: ocsp.OCSPSingleResponse, now: float, name: str) -> float:
    """The instant of the next update."""
    this_update, next_update = single.this_update_utc, single.next_update_utc
    if this_update.timestamp() > now + CLOCK_TOLERANCE:
        raise _refuse(f"{name} is not valid before {instant(this_update)}: check the clock of this machine")
    if next_update is None:
        raise _refuse(f"{name} does not say until when it is valid (no nextUpdate): it cannot be stapled")
    if next_update.timestamp() < now:
        raise _refuse(f"{name} expired on {instant(next_update)}: {_FETCH}")
    return next_update.timestamp()


def _check_signature(response: ocsp.OCSPResponse, parent: x509.Certificate, now: float, name: str) -> float:
    """The instant until which a responder may speak for the issuer; for ever, if that has signed it itself."""
    if _is_signed(response, parent):
        return inf
    for responder in _signers(response, name):
        fault = _fault(responder, parent, now)
        if fault:
            raise _refuse(f"{name} is signed by {subject(responder)}, {fault}: {_FETCH}")
        return responder.not_valid_after_utc.timestamp()
    raise _refuse(f"{name} is signed neither by {subject(parent)} nor by a responder of it: {_FETCH}")


def _signers(response: ocsp.OCSPResponse, name: str) -> list[x509.Certificate]:
    try:
        found = [each for each in response.certificates if _is_signed(response, each)]
        # The names are decoded when they are asked for, which is too late to refuse the response.
        _ = [each.subject for each in found]
    except UNDECODABLE:
        raise _refuse(f"{name} has a responder's certificate that cannot be decoded: {_FETCH}") from None
    return found


def _fault(responder: x509.Certificate, parent: x509.Certificate, now: float) -> str:
    """Why this responder may not speak for the issuer, "" if it may."""
    if weak_digest(responder) or not issued(responder, parent):
        return f"which {subject(parent)} did not issue"
    try:
        usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*UNDECODABLE, x509.ExtensionNotFound, x509.DuplicateExtension):
        return "which is not for OCSP signing"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
        return "which is not for OCSP signing"
    today = datetime.fromtimestamp(now, UTC)
    in_time = responder.not_valid_before_utc <= today <= responder.not_valid_after_utc
    return "" if in_time else "which is not valid now"


def _is_signed(response: ocsp.OCSPResponse, by: x509.Certificate) -> bool:
    try:
        _verify(response, by.public_key())
    except (*UNDECODABLE, InvalidSignature):
        return False
    return True


def _verify(response: ocsp.OCSPResponse, key: object) -> None:
    signature, signed, algorithm = response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
        key.verify(signature, signed, ec.ECDSA(algorithm))
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    else:
        raise InvalidSignature
