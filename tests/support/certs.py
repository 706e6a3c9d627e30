"""Certificates for tests, from fastnlb's own models down to ready TLS contexts on both sides."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from fastnlb.model import DEFAULT_SECURITY_POLICY, Certificate
from fastnlb.tls.contexts import server_context
from fastnlb.tls.policies import SYSTEM

NAMES = [x509.DNSName("localhost"), x509.DNSName("fastnlb.test")]


@dataclass(frozen=True)
class Material:
    """What tests serve with and trust."""

    ca_pem: bytes
    ecdsa: Certificate
    rsa: Certificate

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The ECDSA certificate and key as files."""
        certificate, key = folder / "server.pem", folder / "server.key"
        certificate.write_bytes(self.ecdsa.chain_pem)
        key.write_bytes(self.ecdsa.key_pem)
        key.chmod(0o600)
        return certificate, key

    def server_context(self, kind: str = "ecdsa", policy: str = DEFAULT_SECURITY_POLICY):  # type: ignore[no-untyped-def]
        return server_context(self.ecdsa if kind == "ecdsa" else self.rsa, SYSTEM[policy])

    def client_context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A verifying client; pinned to one TLS version when given."""
        context = ssl.create_default_context(cadata=self.ca_pem.decode())
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


def make_material() -> Material:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _sign(ca_key, ca_key, "fastnlb test CA", None, is_ca=True)
    return Material(
        ca.public_bytes(serialization.Encoding.PEM),
        _issue("ecdsa", ec.generate_private_key(ec.SECP256R1()), ca_key, ca),
        _issue("rsa", rsa.generate_private_key(65537, 2048), ca_key, ca),
    )


def _issue(
    name: str,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
) -> Certificate:
    leaf = _sign(key, ca_key, "localhost", ca, is_ca=False)
    return Certificate(name, leaf.public_bytes(serialization.Encoding.PEM), private_pem(key))


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _sign(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
    name: str,
    ca: x509.Certificate | None,
    *,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if is_ca:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
    return builder.sign(ca_key, hashes.SHA256())
