"""Keys and certificates that proxies serve with: self-signed, made once for each run, in one file with the key.

`both.pem` in a folder of its own for each kind of key; `crowd` makes thousands of certificates on one key, since what
is measured is finding a certificate, not making it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KINDS: dict[str, Callable[[], Key]] = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
}
LIFE = datetime.timedelta(days=2)


def host(number: int) -> str:
    return f"h{number}.example.com"


def serving(folder: Path, kind: str) -> Path:
    """both.pem with a certificate and its key of this kind, made when it is not there yet."""
    home = folder / kind
    both = home / "both.pem"
    if not both.exists():
        home.mkdir(mode=0o755, exist_ok=True)
        issuer = Issuer.new(kind)
        _write(both, issuer.issue(host(0)) + issuer.key_pem)
    return both


def crowd(folder: Path, count: int) -> Iterator[Path]:
    """Certificates for host(0), host(1), ...; their key is key.pem beside them and ca.pem the root they lead to."""
    home = folder / f"crowd{count}"
    home.mkdir(mode=0o755, exist_ok=True)
    if not (home / "ca.pem").exists():
        issuer = Issuer.new("ecdsa")
        _write(home / "key.pem", issuer.key_pem)
        for number in range(count):
            _write(home / f"{number}.pem", issuer.issue(host(number)))
        _write(home / "ca.pem", issuer.issue("root", is_ca=True))
    return (home / f"{number}.pem" for number in range(count))


def _write(path: Path, contents: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(contents)


@dataclass(frozen=True)
class Issuer:
    """A root called `root`, and everybody else on the same key."""

    key: Key

    @classmethod
    def new(cls, kind: str) -> Issuer:
        return cls(KINDS[kind]())

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def issue(self, name: str, *, is_ca: bool = False) -> bytes:
        begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        certificate = (
            x509.CertificateBuilder(_named("root"), _named(name), self.key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + LIFE)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
