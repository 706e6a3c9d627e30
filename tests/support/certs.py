"""Certificates for tests: an issuer that makes whatever is asked of it, and what most tests serve with.

root = Issued.root()
web = root.issue("www.example.com", "*.example.com", key="RSA")
web.chain_pem, web.key_pem, web.write(folder)
root.intermediate("issuing").issue("www.example.com").chain_pem    # leaf and intermediate, without the root
root.issue(common_name="alice", usages=[CLIENT])
root.crl(web), root.ocsp(web), root.ocsp(web, status=REVOKED)
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fastnlb.model import DEFAULT_SECURITY_POLICY, Certificate
from fastnlb.tls.contexts import server_context
from fastnlb.tls.policies import SYSTEM

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
CA_USAGE = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
# As certificates have them: one in place of another makes a certificate look as if it were weakly signed.
SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")
MD5_WITH_RSA = bytes.fromhex("06092a864886f70d010104")
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def now() -> datetime.datetime:
    """To the second, as certificates have it."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def make_key(kind: str = "P-256") -> Key:
    """kind: RSA (2048 bits), RSA-1024, P-256, P-384, P-521 or Ed25519."""
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[4:] or 2048))
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    return ed25519.Ed25519PrivateKey.generate() if kind == "Ed25519" else ec.generate_private_key(curves[kind])


def private_pem(key: Key, passphrase: bytes | None = None, *, traditional: bool = False) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    hidden = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(PEM, form, hidden)


@dataclass(frozen=True)
class Folder:
    """Files that only their owner can read."""

    path: Path

    def put(self, name: str, *contents: bytes) -> Path:
        path = self.path / name
        path.touch(0o600)
        path.write_bytes(b"".join(contents))
        return path


@dataclass(frozen=True, eq=False)
class Issued:
    """A certificate, its key and the certificates between it and its root; as an issuer it is its own authority."""

    certificate: x509.Certificate
    key: Key = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()
    is_root: bool = False

    @classmethod
    def root(cls, common_name: str = "root", key: str | Key = "P-256", **options: object) -> Issued:
        """A CA that is signed by itself; `options` as for `issue`."""
        made = make_key(key) if isinstance(key, str) else key
        certificate = _build(made, made, None, (), common_name, **{"is_ca": True, **options})  # type: ignore[arg-type]
        return cls(certificate, made, is_root=True)

    def issue(
        self, *names: str, key: str | Key = "P-256", common_name: str | None = None, **options: object
    ) -> Issued:
        """A certificate for host names and addresses, all of them in subjectAltName; no names, no such extension.

        `key` is a kind for make_key, or a key.  `options`: begin, end (instants), is_ca, usages (extended ones),
        key_usage, basic_constraints=False (leave that extension out), serial.
        """
        made = make_key(key) if isinstance(key, str) else key
        if common_name is None:
            common_name = names[0][:64] if names else "leaf"
        certificate = _build(made, self.key, self.certificate, names, common_name, **options)  # type: ignore[arg-type]
        return Issued(certificate, made, () if self.is_root else (self.certificate, *self.above))

    def intermediate(self, common_name: str = "intermediate", key: str | Key = "P-256", **options: object) -> Issued:
        return self.issue(key=key, common_name=common_name, **{"is_ca": True, **options})

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @property
    def chain_pem(self) -> bytes:
        """Leaf first, without the root."""
        return self.pem + b"".join(each.public_bytes(PEM) for each in self.above)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self.key)

    def write(self, folder: Path, stem: str = "server") -> tuple[Path, Path]:
        """stem.pem with the chain and stem.key; only their owner can read the key."""
        certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        certificate.write_bytes(self.chain_pem)
        key.touch(0o600)
        key.write_bytes(self.key_pem)
        return certificate, key

    def crl(
        self, *revoked: Issued, begin: datetime.datetime | None = None, end: datetime.datetime | None = None
    ) -> x509.CertificateRevocationList:
        """What this CA has revoked, valid from an hour ago for a day."""
        begin = begin or now() - HOUR
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, begin, end or begin + DAY)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder(each.certificate.serial_number, begin).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, _digest(self.key))

    def ocsp(
        self,
        about: Issued,
        status: ocsp.OCSPCertStatus = GOOD,
        *,
        begin: datetime.datetime | None = None,
        end: datetime.datetime | None = None,
        next_update: bool = True,
        responder: Issued | None = None,
        enclosed: Sequence[Issued] = (),
        digest: hashes.HashAlgorithm | None = None,
    ) -> bytes:
        """A response (DER) about a certificate of this CA, valid for a day, signed by `responder`."""
        begin = begin or now() - HOUR
        until = (end or begin + DAY) if next_update else None
        signer = responder or self
        revoked_at = begin if status is REVOKED else None
        about_whom = (about.certificate, self.certificate, digest or hashes.SHA1())  # noqa: S303  as responders do
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(*about_whom, status, begin, until, revoked_at, None)
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        )
        if enclosed:
            builder = builder.certificates([each.certificate for each in enclosed])
        return builder.sign(signer.key, _digest(signer.key)).public_bytes(DER)


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        # Without validation, so that a certificate can have names that it should not have.
        return x509.DNSName._init_without_validation(name)


def _build(
    key: Key,
    ca_key: Key,
    ca: x509.Certificate | None,
    names: Sequence[str],
    common_name: str,
    *,
    begin: datetime.datetime | None = None,
    end: datetime.datetime | None = None,
    is_ca: bool = False,
    usages: Sequence[x509.ObjectIdentifier] = (),
    key_usage: x509.KeyUsage | None = None,
    basic_constraints: bool = True,
    serial: int | None = None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = (
        x509.CertificateBuilder(ca.subject if ca else subject, subject, key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin or now() - HOUR)
        .not_valid_after(end or now() + 2 * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if basic_constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    if is_ca or key_usage:
        builder = builder.add_extension(key_usage or CA_USAGE, critical=True)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
    return builder.sign(ca_key, _digest(ca_key))


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
    root = Issued.root("fastnlb test CA")
    served = [
        (kind, root.issue("localhost", "fastnlb.test", key=key)) for kind, key in (("ecdsa", "P-256"), ("rsa", "RSA"))
    ]
    return Material(root.pem, *(Certificate(kind, each.chain_pem, each.key_pem) for kind, each in served))
