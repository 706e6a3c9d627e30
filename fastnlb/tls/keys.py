"""Private keys: read from PEM, decrypted, checked, and brought to unencrypted PKCS8.

A key that leaves here is of a type the load balancer serves with and its numbers belong together.  No message, repr
or exception chain carries any of it, nor the passphrase.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fastnlb.tls.files import MaterialError, read
from fastnlb.tls.notice import Notice
from fastnlb.tls.pem import PRIVATE_KEY, UNDECODABLE, PemFile

MIN_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_SUPPORTED = f"supported are RSA of {MIN_RSA_BITS} bits or more, ECDSA on P-256, P-384 or P-521, and Ed25519"
_KEY = "private_key"
_PASSPHRASE = "private_key_passphrase_file"  # noqa: S105  the name of a part
_MAX_PASSPHRASE_FILE = 4096

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def load_key(file: PemFile, passphrase_path: Path | str | None = None) -> tuple[PrivateKey, list[Notice]]:
    """The first private key of `file`, decrypted with the first line of the passphrase file if it is encrypted.

    Raises MaterialError with the part "private_key" or "private_key_passphrase_file".
    """
    texts = file.of(PRIVATE_KEY)
    if not texts:
        message = f"{file.name} has no PRIVATE KEY block: the key of the certificate is needed{file.hint}"
        raise MaterialError(message, _KEY)
    passphrase, notices = _passphrase(texts[0], file.name, passphrase_path)
    key = _decode(texts[0], passphrase, file.name, passphrase_path)
    if not _is_supported(key):
        raise MaterialError(f"the private key in {file.name} is {_describe(key)}; {_SUPPORTED}", _KEY)
    if isinstance(key, rsa.RSAPrivateKey) and not is_consistent(key.private_numbers()):
        message = f"the private key in {file.name} is damaged: its numbers do not belong together"
        raise MaterialError(f"{message}; restore it from a copy", _KEY)
    return key, notices


def key_type(key: PrivateKey) -> str:
    """RSA, ECDSA or Ed25519."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "Ed25519"


def key_pem(key: PrivateKey) -> bytes:
    """Unencrypted PKCS8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def is_consistent(key: rsa.RSAPrivateNumbers) -> bool:
    """Whether the numbers of an RSA key belong together; that p and q are primes is taken on trust."""
    p, q, d, public = key.p, key.q, key.d, key.public_numbers
    if min(p, q) <= 2 or p * q != public.n:
        return False
    # e*d = 1 mod lcm(p-1, q-1), said of each factor, which needs no lcm.
    exponents = d * public.e % (p - 1) == 1 and d * public.e % (q - 1) == 1
    return exponents and key.dmp1 == d % (p - 1) and key.dmq1 == d % (q - 1) and key.iqmp * q % p == 1


def _passphrase(text: bytes, name: str, path: Path | str | None) -> tuple[bytes | None, list[Notice]]:
    """The passphrase for the key in `text`, None for a key that needs none."""
    if not _is_encrypted(text):
        return None, [Notice(f"{path} is not used: the private key in {name} is not encrypted")] if path else []
    if path is None:
        message = f"the private key in {name} is encrypted: name its passphrase file in {_PASSPHRASE}"
        raise MaterialError(f"{message}, or decrypt it with openssl pkey", _KEY)
    contents = read(path, _PASSPHRASE, _MAX_PASSPHRASE_FILE, "a file with the passphrase in its first line")
    passphrase = contents.raw.split(b"\n", 1)[0].removesuffix(b"\r")
    if not passphrase:
        raise MaterialError(f"{path}: the first line is empty: it has to be the passphrase of {name}", _PASSPHRASE)
    exposed = f"{path} holds a passphrase and others than its owner can read it: chmod 600 it"
    return passphrase, [Notice(exposed)] if contents.exposed else []


def _is_encrypted(text: bytes) -> bool:
    label, header = text.split(b"\n", 2)[:2]
    return label == b"-----BEGIN ENCRYPTED PRIVATE KEY-----" or (
        header.startswith(b"Proc-Type:") and header.endswith(b"ENCRYPTED")
    )


def _decode(text: bytes, passphrase: bytes | None, name: str, passphrase_path: Path | str | None) -> PrivateKeyTypes:
    try:
        # The library's own validation tests p and q for primality, about 37 ms for each key, and 10,000 certificates
        # have to load in seconds.  What remains to be feared is damage: a signature made with a wrong CRT value lets
        # anyone who sees it compute the key.  is_consistent() finds that in microseconds.
        return load_pem_private_key(text, passphrase, unsafe_skip_rsa_key_validation=True)
    except UNDECODABLE:
        if passphrase is not None:
            message = f"the private key in {name} cannot be decrypted: {passphrase_path} holds another passphrase"
            raise MaterialError(f"{message}, or the key is damaged", _PASSPHRASE) from None
        message = f"the private key in {name} cannot be decoded: it is damaged or of an unknown type"
        raise MaterialError(f"{message}; {_SUPPORTED}", _KEY) from None


def _is_supported(key: PrivateKeyTypes) -> TypeGuard[PrivateKey]:
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
