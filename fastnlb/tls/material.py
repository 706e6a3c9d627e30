"""A certificate chain and its private key: read or made for a trial, and checked.

A pair that leaves here is known to be usable: every certificate decodes, the leaf is the first and each is issued by
the next, and the key is the leaf's, unencrypted and of a supported type.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, PublicKeyAlgorithmOID

from fastnlb.model import Certificate, Staple
from fastnlb.tls.chain import chain_notices, check_order
from fastnlb.tls.files import MAX_BYTES, Contents, MaterialError
from fastnlb.tls.keys import PrivateKey, key_pem, key_type, load_key
from fastnlb.tls.names import host_names
from fastnlb.tls.notice import Notice, holding
from fastnlb.tls.pem import PemFile, load_certificates, parse_pem, public_bytes, read_pem, without_remarks

__all__ = ["MAX_BYTES", "MaterialError", "Pair", "load_pair", "parse_pair", "self_signed"]

_LEAF_FIRST = "PEM with the leaf first is needed"
_SELF_SIGNED_DAYS = 30
_COMMON_NAME_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain (leaf first) and its private key, both PEM, the key as unencrypted PKCS8.

    `names`, `not_before` and `not_after` (Unix seconds) are the leaf's; `key_type` is RSA, ECDSA or Ed25519.
    `warnings` are those of `notices` that held when it was made.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    names: tuple[str, ...] = ()
    key_type: str = ""
    not_before: int = 0
    not_after: int = 0
    warnings: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = field(default=(), repr=False, compare=False)

    def at(self, now: float) -> Pair:
        """The same pair with the warnings that hold at `now`, Unix seconds."""
        warnings = holding(self.notices, now)
        return self if warnings == self.warnings else replace(self, warnings=warnings)

    def certificate(self, name: str, staple: Staple | None = None) -> Certificate:
        """What the data plane is to be given, under `name`."""
        material = (self.chain_pem, self.key_pem, self.names, self.key_type)
        return Certificate(name, *material, self.not_before, self.not_after, staple)


@without_remarks()
def load_pair(
    certificate_path: Path | str,
    key_path: Path | str | None = None,
    passphrase_path: Path | str | None = None,
) -> Pair:
    """The certificate chain and key in these files; without `key_path` the key is in the certificate's file.

    Raises MaterialError, whose message names the file and says what would be right.  Certificates out of their time,
    host names of no use, a passphrase that is not needed and files that others can read are warnings.
    """
    chain_file = read_pem(certificate_path, "certificate")
    # Of two faults the certificate's is reported, so it is decoded before the key is looked for.
    chain = load_certificates(chain_file, _LEAF_FIRST)
    key_file = chain_file if key_path is None else read_pem(key_path, "private_key")
    return _pair(chain, chain_file.name, key_file, passphrase_path)


@without_remarks()
def parse_pair(chain_pem: bytes, key_pem: bytes) -> Pair:
    """As `load_pair`, for a chain and an unencrypted key that are in memory."""
    chain_file = parse_pem(Contents("the chain", chain_pem))
    chain = load_certificates(chain_file, _LEAF_FIRST)
    return _pair(chain, chain_file.name, parse_pem(Contents("the text given", key_pem)), None)


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
    return certificate.public_bytes(Encoding.PEM), key_pem(key)


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(chain: list[x509.Certificate], name: str, key_file: PemFile, passphrase_path: Path | str | None) -> Pair:
    key, key_notices = load_key(key_file, passphrase_path)
    _match(chain, key, name, key_file.name)
    check_order(chain, name)
    names, oddities = host_names(chain[0])
    notices = [
        *chain_notices(chain, name),
        *(Notice(f"{name}: {oddity}") for oddity in oddities),
        *_exposure(key_file),
        *key_notices,
    ]
    return _assemble(chain, key, names, notices).at(time.time())


def _assemble(
    chain: Sequence[x509.Certificate], key: PrivateKey, names: tuple[str, ...], notices: list[Notice]
) -> Pair:
    chain_pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    begin, end = (int(when.timestamp()) for when in (chain[0].not_valid_before_utc, chain[0].not_valid_after_utc))
    return Pair(chain_pem, key_pem(key), names, key_type(key), begin, end, notices=tuple(notices))


def _exposure(key_file: PemFile) -> Iterable[Notice]:
    if key_file.exposed:
        yield Notice(f"{key_file.name} holds a private key and others than its owner can read it: chmod 600 it")


def _match(chain: Sequence[x509.Certificate], key: PrivateKey, chain_name: str, key_name: str) -> None:
    # cryptography takes such a key for any RSA key; the TLS library then finds that the two are of different types.
    if chain[0].public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        message = f"{chain_name}: the leaf is for a key of the type RSASSA-PSS, which cannot be served with"
        raise MaterialError(f"{message}: have it issued for one of the type RSA")
    wanted = public_bytes(key.public_key())
    held = [public_bytes(certificate.public_key()) for certificate in chain]
    if held[0] == wanted:
        return
    if wanted in held:
        which = f"certificate {held.index(wanted) + 1} of {len(chain)}"
        raise MaterialError(f"{chain_name}: the leaf is {which}, and it has to be the first")
    message = f"the private key in {key_name} does not belong to the certificate in {chain_name}"
    raise MaterialError(f"{message}: give the key that the certificate was requested with", "private_key")
