"""PEM: the blocks of a file, and the certificates among them.

Text between blocks is passed over, line ends of any kind are taken, and an unfinished block is none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fastnlb.tls.files import MAX_BYTES, Contents, MaterialError, read

CERTIFICATE = "CERTIFICATE"
PRIVATE_KEY = "PRIVATE KEY"
CRL = "X509 CRL"
WEAK_DIGESTS = {"md5": "MD5", "sha1": "SHA-1"}
UNDECODABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What cryptography raises for bytes that it cannot make sense of."""
_NAME_LIMIT = 120


@dataclass(frozen=True, slots=True)
class PemFile:
    """The blocks of a file as (label, text), in order; whether others than its owner can read it; and what a message
    says of it.
    """

    name: str
    blocks: tuple[tuple[str, bytes], ...] = field(repr=False)
    exposed: bool = False
    hint: str = ""

    def of(self, label: str) -> list[bytes]:
        """The texts whose label ends with `label`: an EC PRIVATE KEY is a PRIVATE KEY."""
        return [text for found, text in self.blocks if found.endswith(label)]


def read_pem(path: Path | str, part: str, limit: int = MAX_BYTES) -> PemFile:
    """The PEM file at `path`.  Raises MaterialError for one that cannot be read; one without blocks is fine."""
    return parse_pem(read(path, part, limit))


def parse_pem(contents: Contents) -> PemFile:
    """As `read_pem`, for what has been read."""
    is_der = contents.raw.startswith(b"\x30\x82")
    hint = "; this looks like DER or PKCS#12, which has to be converted" if is_der else ""
    return PemFile(contents.name, tuple(_blocks(contents.raw)), contents.exposed, hint)


def load_certificates(file: PemFile, advice: str) -> list[x509.Certificate]:
    """Every certificate of the file, in order, whose keys and names decode.

    Raises MaterialError for one that is damaged, and with `advice` for none at all.
    """
    texts = file.of(CERTIFICATE)
    if not texts:
        raise MaterialError(f"{file.name} has no CERTIFICATE block: {advice}{file.hint}")
    return [_certificate(text, position_of(file.name, index, len(texts))) for index, text in enumerate(texts)]


@contextmanager
def without_remarks() -> Iterator[None]:
    """cryptography's own warnings (a serial number of 0, a long common name) stay away from stderr."""
    with warnings.catch_warnings(action="ignore"):
        yield


def position_of(name: str, index: int, count: int) -> str:
    """How messages call one certificate of a file: `index` counts from 0, people from 1."""
    return f"{name}: certificate {index + 1} of {count}"


def subject(certificate: x509.Certificate) -> str:
    """The certificate's subject for a message: one line, printable, of bounded length."""
    return _printable(certificate, "subject")


def issuer(certificate: x509.Certificate | x509.CertificateRevocationList) -> str:
    """As `subject`, for the name of whoever issued it."""
    return _printable(certificate, "issuer")


def weak_digest(certificate: x509.Certificate | x509.CertificateRevocationList) -> str:
    """The digest of the signature if it is MD5 or SHA-1, else "".

    cryptography 50 verifies no such signature, and says so with the same ValueError as for another issuer.
    """
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return WEAK_DIGESTS.get(algorithm.name, "") if algorithm is not None else ""


def public_bytes(key: PublicKeyTypes | CertificatePublicKeyTypes) -> bytes:
    """The one spelling of a public key, to compare by."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _printable(certificate: x509.Certificate | x509.CertificateRevocationList, which: str) -> str:
    text = getattr(certificate, which).rfc4514_string()
    shown = "".join(each if each.isprintable() else "?" for each in text)
    if len(shown) > _NAME_LIMIT:
        shown = shown[:_NAME_LIMIT] + "..."
    return shown or f"an empty {which}"


def _certificate(text: bytes, which: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(text)
        # These are decoded when they are asked for, which is too late to refuse the file.
        _ = public_bytes(certificate.public_key()), certificate.subject, certificate.issuer
    except UNDECODABLE:
        raise MaterialError(f"{which} cannot be decoded: it is damaged or no X.509") from None
    return certificate


def _blocks(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """(label, text) of each complete block.  One pass over the lines: a pattern would be quadratic on BEGIN lines."""
    label, lines, end = "", list[bytes](), b""
    for line in raw.splitlines():
        mark = line.strip()
        if mark.startswith(b"-----BEGIN ") and mark.endswith(b"-----"):
            label, lines = mark[11:-5].decode("ascii", "replace"), []
            end = b"-----END " + mark[11:]
        if label:
            lines.append(mark)
            if mark == end:
                yield label, b"\n".join(lines) + b"\n"
                label = ""
