"""Authorities that client certificates may come from, and their revocation lists: read from files and checked.

Whatever leaves here the TLS library will take, and a client is refused for a reason that was said beforehand: every
certificate is a CA's, every list that can be checked is signed by one, and what will make clients fail is a warning.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from fastnlb.tls.files import Contents, MaterialError, read
from fastnlb.tls.keys import MIN_RSA_BITS
from fastnlb.tls.notice import Notice, holding, validity
from fastnlb.tls.pem import (
    CRL,
    UNDECODABLE,
    issuer,
    load_certificates,
    parse_pem,
    position_of,
    read_pem,
    subject,
    weak_digest,
    without_remarks,
)

MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MAX_CRL_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Authority:
    """CA certificates and revocation lists, both PEM; no list was asked for where `crl_pem` is empty.

    `warnings` are those of `notices` that held when it was made.
    """

    bundle_pem: bytes
    crl_pem: bytes = b""
    warnings: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = field(default=(), repr=False, compare=False)

    def at(self, now: float) -> Authority:
        """The same authority with the warnings that hold at `now`, Unix seconds."""
        warnings = holding(self.notices, now)
        return self if warnings == self.warnings else replace(self, warnings=warnings)


@without_remarks()
def load_authority(certificate_path: Path | str, crl_path: Path | str | None = None) -> Authority:
    """The CA certificates in a PEM file, and the revocation lists in another one (PEM, or one in DER).

    Raises MaterialError with the part "certificate" (4 MiB at most) or "crl" (32 MiB at most).
    """
    file = read_pem(certificate_path, "certificate", MAX_BUNDLE_BYTES)
    bundle = load_certificates(file, "PEM with the certificates of one or more CAs is needed")
    cas = tuple(dict.fromkeys(bundle))
    notices = list(_bundle_notices(bundle, file.name))
    crls = list[x509.CertificateRevocationList]()
    if crl_path is not None:
        crls = _crls(read(crl_path, "crl", MAX_CRL_BYTES, "a file with CRLs"))
        notices += _crl_notices(crls, cas, str(crl_path))
    bundle_pem, crl_pem = (b"".join(each.public_bytes(Encoding.PEM) for each in group) for group in (cas, crls))
    return Authority(bundle_pem, crl_pem, notices=tuple(notices)).at(time.time())


def _bundle_notices(bundle: Sequence[x509.Certificate], name: str) -> Iterator[Notice]:
    seen = dict[x509.Certificate, int]()
    for index, ca in enumerate(bundle):
        which = f"{position_of(name, index, len(bundle))} ({subject(ca)})"
        fault = _fault(ca)
        if fault:
            raise MaterialError(f"{which} {fault}")
        if ca in seen:
            yield Notice(f"{which} is also certificate {seen[ca] + 1}: one of them is enough")
            continue
        seen[ca] = index
        yield from validity(which, ca.not_valid_before_utc, ca.not_valid_after_utc)


def _fault(ca: x509.Certificate) -> str:
    """What makes this certificate unfit to be an authority, "" if nothing does."""
    if not _is_ca(ca):
        return "is not a CA certificate: give those that issue the clients' certificates, not the clients' own"
    key, digest = ca.public_key(), weak_digest(ca)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"has an RSA key of {key.key_size} bits: {MIN_RSA_BITS} are the least that can be trusted"
    # Nothing rests on the signature of a root.
    if digest and ca.issuer != ca.subject:
        return f"is signed with {digest}, which can be forged: have it issued again with SHA-256"
    return ""


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid
    except (*UNDECODABLE, x509.DuplicateExtension):
        return False


def _crls(contents: Contents) -> list[x509.CertificateRevocationList]:
    texts = parse_pem(contents).of(CRL)
    if texts:
        load, wrong = x509.load_pem_x509_crl, "cannot be decoded: it is damaged or no X.509 CRL"
    else:
        texts, load = [contents.raw], x509.load_der_x509_crl
        wrong = "cannot be decoded: one or more CRLs in PEM are needed, or one in DER"
    return [
        _crl(load, text, f"{_which(contents.name, index, len(texts))} {wrong}") for index, text in enumerate(texts)
    ]


def _which(name: str, index: int, count: int) -> str:
    return f"{name}: CRL {index + 1} of {count}"


def _crl(
    load: Callable[[bytes], x509.CertificateRevocationList], text: bytes, refusal: str
) -> x509.CertificateRevocationList:
    try:
        crl = load(text)
        _ = crl.issuer, crl.last_update_utc, crl.next_update_utc
    except UNDECODABLE:
        raise MaterialError(refusal, "crl") from None
    return crl


def _crl_notices(
    crls: Sequence[x509.CertificateRevocationList], cas: Sequence[x509.Certificate], name: str
) -> Iterator[Notice]:
    covered, named = set[x509.Certificate](), defaultdict[x509.Name, list[x509.Certificate]](list)
    for ca in cas:
        named[ca.subject].append(ca)
    for index, crl in enumerate(crls):
        which = f"{_which(name, index, len(crls))} ({issuer(crl)})"
        signers = _signers(crl, named.get(crl.issuer, ()), which)
        covered.update(signers)
        if not signers:
            yield Notice(f"{which} is by none of the CAs: it serves only for intermediates that clients send")
        yield from _timeliness(crl, which)
    for ca in cas:
        if ca not in covered:
            yield Notice(f"{name} has no CRL of {subject(ca)}: every client of that CA will be refused")


def _signers(
    crl: x509.CertificateRevocationList, namesakes: Sequence[x509.Certificate], which: str
) -> list[x509.Certificate]:
    """The namesakes of its issuer that signed it.  Raises MaterialError if there are some and none of them did."""
    signers = [ca for ca in namesakes if _is_signed(crl, ca)]
    if namesakes and not signers:
        digest = weak_digest(crl)
        if digest:
            raise MaterialError(f"{which} is signed with {digest}, which is not checked: SHA-256 is needed", "crl")
        raise MaterialError(f"{which} is not signed by the CA of that name: fetch it again from that CA", "crl")
    return signers


def _is_signed(crl: x509.CertificateRevocationList, ca: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(ca.public_key())  # type: ignore[arg-type] # others: TypeError
    except UNDECODABLE:
        return False


def _timeliness(crl: x509.CertificateRevocationList, which: str) -> Iterator[Notice]:
    refused = "every client of that CA will be refused"
    early, *late = validity(which, crl.last_update_utc, crl.next_update_utc)
    yield replace(early, text=f"{early.text}: {refused} until then")
    for notice in late:
        yield replace(notice, text=f"{notice.text}: {refused} until there is a new one")
