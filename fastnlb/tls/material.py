"""Certificates and private keys: read from files, checked, and brought to one form; or made for a trial.

A pair that leaves here is known to be usable: every certificate decodes, the first one is the leaf, and the key is
its key, unencrypted and of a supported type.  No message, repr or exception chain carries key material.
"""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MAX_BYTES = 1024 * 1024
MIN_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_SUPPORTED = f"supported are RSA of {MIN_RSA_BITS} bits or more, ECDSA on P-256, P-384 or P-521, and Ed25519"
_CERTIFICATE = "CERTIFICATE"
_PRIVATE_KEY = "PRIVATE KEY"
_UNDECODABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
_SELF_SIGNED_DAYS = 30
_COMMON_NAME_LIMIT = 64


class MaterialError(Exception):
    """A certificate or key cannot be used.  `part` says whose fault it is: "certificate" or "private_key"."""

    def __init__(self, message: str, part: str = "certificate") -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain (leaf first) and its private key, both PEM, the key as unencrypted PKCS8."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    """The PEM blocks of a file as (label, text), in order; whether others than its owner can read it; and what a
    message says of it.
    """

    name: str
    blocks: tuple[tuple[str, bytes], ...] = field(repr=False)
    exposed: bool
    hint: str = ""

    def of(self, label: str) -> list[bytes]:
        return [text for found, text in self.blocks if found.endswith(label)]


def load_pair(certificate_path: Path | str, key_path: Path | str | None = None) -> Pair:
    """The certificate chain and key in these files; without `key_path` the key is in the certificate's file.

    Raises MaterialError, whose message names the file and says what would be right.  An expired certificate and a
    key file that others can read are warnings.
    """
    chain_file = _read(Path(certificate_path), "certificate")
    chain = _chain(chain_file)
    key_file = _read(Path(key_path), "private_key") if key_path is not None else chain_file
    key = _private_key(key_file)
    _match(chain, key, chain_file.name, key_file.name)
    warnings = _validity(chain, chain_file.name, datetime.now(UTC))
    if key_file.exposed:
        warnings.append(f"{key_file.name} holds a private key and others than its owner can read it: chmod 600 it")
    chain_pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    return Pair(chain_pem, _key_pem(key), tuple(warnings))


def self_signed(names: Sequence[str]) -> tuple[bytes, bytes]:
    """A certificate and key for these host names and addresses, both PEM: ECDSA P-256, valid for 30 days.

    For trials: no client trusts it.  Raises ValueError for no names and for a name that is not ASCII.
    """
    if not names or not all(names):
        raise ValueError("a certificate is for one name or more, and none of them empty")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_COMMON_NAME_LIMIT])])
    # An hour back, so that a client whose clock is behind does not refuse a new certificate.
    begin = datetime.now(UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=_SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([_alternative_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), _key_pem(key)


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read(path: Path, part: str) -> _File:
    try:
        status = path.stat()
        # Asked before opening: to open a FIFO would wait for its writer.
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise MaterialError(f"{path} is {what}: a PEM file is needed", part)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise MaterialError(f"{path}: cannot read: {reason}", part) from None
    if len(raw) > MAX_BYTES:
        raise MaterialError(f"{path} is over 1 MiB: a PEM file with a certificate or key is smaller", part)
    hint = "; this looks like DER or PKCS#12, which has to be converted" if raw.startswith(b"\x30\x82") else ""
    return _File(str(path), tuple(_pem_blocks(raw)), bool(status.st_mode & 0o044), hint)


def _pem_blocks(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """(label, text) of each complete block.  One pass over the lines: a pattern would be quadratic on BEGIN lines."""
    label, lines = "", list[bytes]()
    for line in raw.splitlines():
        mark = line.strip()
        if mark.startswith(b"-----BEGIN ") and mark.endswith(b"-----"):
            label, lines = mark[11:-5].decode("ascii", "replace"), []
        if label:
            lines.append(mark)
        if label and mark == b"-----END " + label.encode("ascii", "replace") + b"-----":
            yield label, b"\n".join(lines) + b"\n"
            label = ""


def _chain(file: _File) -> list[x509.Certificate]:
    texts = file.of(_CERTIFICATE)
    if not texts:
        raise MaterialError(f"{file.name} has no CERTIFICATE block: PEM with the leaf first is needed{file.hint}")
    chain = []
    for position, text in enumerate(texts, start=1):
        try:
            certificate = x509.load_pem_x509_certificate(text)
            _public_bytes(certificate.public_key())
        except _UNDECODABLE:
            which = f"{file.name}: certificate {position} of {len(texts)}"
            raise MaterialError(f"{which} cannot be decoded: it is damaged or no X.509") from None
        chain.append(certificate)
    return chain


def _private_key(file: _File) -> PrivateKeyTypes:
    texts = file.of(_PRIVATE_KEY)
    if not texts:
        message = f"{file.name} has no PRIVATE KEY block: the key of the certificate is needed{file.hint}"
        raise MaterialError(message, "private_key")
    if b"ENCRYPTED" in texts[0]:
        message = f"the private key in {file.name} is encrypted, which is not available in this version of fastnlb"
        raise MaterialError(f"{message}: decrypt it with openssl pkey", "private_key")
    try:
        key = load_pem_private_key(texts[0], password=None)
    except _UNDECODABLE:
        message = f"the private key in {file.name} cannot be decoded: it is damaged or of an unknown type"
        raise MaterialError(f"{message}; {_SUPPORTED}", "private_key") from None
    if not _is_supported(key):
        raise MaterialError(f"the private key in {file.name} is {_describe(key)}; {_SUPPORTED}", "private_key")
    return key


def _is_supported(key: PrivateKeyTypes) -> bool:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size >= MIN_RSA_BITS
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.curve.name in _CURVES
    return isinstance(key, ed25519.Ed25519PrivateKey)


def _describe(key: PrivateKeyTypes) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return f"RSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"ECDSA on {key.curve.name}"
    return f"of the type {type(key).__name__.removesuffix('PrivateKey')}"


def _match(chain: list[x509.Certificate], key: PrivateKeyTypes, chain_name: str, key_name: str) -> None:
    wanted = _public_bytes(key.public_key())
    held = [_public_bytes(certificate.public_key()) for certificate in chain]
    if held[0] == wanted:
        return
    if wanted in held:
        which = f"certificate {held.index(wanted) + 1} of {len(chain)}"
        raise MaterialError(f"{chain_name}: the leaf is {which}, and it has to be the first")
    message = f"the private key in {key_name} does not belong to the certificate in {chain_name}"
    raise MaterialError(f"{message}: give the key that the certificate was requested with", "private_key")


def _validity(chain: list[x509.Certificate], name: str, now: datetime) -> list[str]:
    warnings = []
    for position, certificate in enumerate(chain, start=1):
        which = f"{name}: certificate {position} of {len(chain)}"
        if now > certificate.not_valid_after_utc:
            warnings.append(f"{which} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        if now < certificate.not_valid_before_utc:
            warnings.append(f"{which} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    return warnings


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
