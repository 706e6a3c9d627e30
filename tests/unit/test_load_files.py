"""Real files of every kind that a configuration may name, through one load: a key with a passphrase, an OCSP
response, authorities with a CRL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import Loader

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
TEXT = """\
version: 1
certificates:
  - name: www
    certificate: www.pem
    private_key: www.key
    private_key_passphrase_file: www.pass
    ocsp_response: www.ocsp
ca_certificates:
  - name: staff
    certificate: ca.pem
    crl: ca.crl
server_groups: [{name: web, servers: [{address: 127.0.0.1, port: 8080}]}]
listeners:
  - name: https
    protocol: TCPSSL
    port: 443
    server_group: web
    certificate: www
    ca_certificate: staff
"""


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(
    subject: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, ca: bool
) -> x509.Certificate:
    begun = x509.CertificateBuilder(name("test CA"), name(subject), key.public_key(), x509.random_serial_number())
    begun = begun.not_valid_before(NOW - HOUR).not_valid_after(NOW + 24 * HOUR)
    begun = begun.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return begun.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False).sign(
        by, hashes.SHA256()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca, leaf = issue("test CA", ca_key, ca_key, True), issue("www.test", key, ca_key, False)
    crl = x509.CertificateRevocationListBuilder(name("test CA"), NOW - HOUR, NOW + HOUR).sign(ca_key, hashes.SHA256())
    response = ocsp.OCSPResponseBuilder().add_response(
        leaf, ca, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, NOW - HOUR, NOW + HOUR, None, None
    )
    response = response.responder_id(ocsp.OCSPResponderEncoding.NAME, ca)
    files = {
        "www.pem": leaf.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM),
        "www.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")),
        "www.pass": b"open sesame\n",
        "www.ocsp": response.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.DER),
        "ca.pem": ca.public_bytes(Encoding.PEM),
        "ca.crl": crl.public_bytes(Encoding.PEM),
        "fastnlb.yaml": TEXT.encode(),
    }
    for file, contents in files.items():
        (tmp_path / file).touch(0o600)
        (tmp_path / file).write_bytes(contents)
    return tmp_path


def test_everything_is_read(folder: Path) -> None:
    loaded = Loader(folder / "fastnlb.yaml").load()
    assert loaded.warnings == ()
    (certificate,), (staff,) = loaded.snapshot.certificates, loaded.snapshot.ca_certificates
    assert (certificate.names, certificate.key_type) == (("www.test",), "ECDSA")
    assert b"BEGIN PRIVATE KEY" in certificate.key_pem
    assert certificate.staple is not None
    assert certificate.staple.until == int((NOW + HOUR).timestamp())
    assert b"BEGIN X509 CRL" in staff.crl_pem


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("www.pem", "f:4:18: certificates[0].certificate: "),
        ("www.key", "f:5:18: certificates[0].private_key: "),
        ("www.pass", "f:6:34: certificates[0].private_key_passphrase_file: "),
        ("ca.pem", "f:10:18: ca_certificates[0].certificate: "),
        ("ca.crl", "f:11:10: ca_certificates[0].crl: "),
    ],
)
@pytest.mark.parametrize("damage", ["garbled", "gone"])
def test_each_bad_file_has_its_place_and_a_refresh_keeps_what_was(
    folder: Path, file: str, place: str, damage: str
) -> None:
    loader = Loader(folder / "fastnlb.yaml")
    before = loader.load().snapshot
    if damage == "gone":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(b"nonsense\n")
    with pytest.raises(ConfigError) as refused:
        loader.load()
    assert [problem.render("f")[: len(place)] for problem in refused.value.problems] == [place]
    refreshed = loader.refresh()
    assert refreshed.snapshot == before
    (warning,) = refreshed.warnings
    assert warning.render("f").startswith(f"{place}warning: ")
    assert warning.message.endswith("; the old one stays")


def test_a_bad_ocsp_response_is_a_warning_at_its_place(folder: Path) -> None:
    (folder / "www.ocsp").write_bytes(b"nonsense")
    loaded = Loader(folder / "fastnlb.yaml").load()
    (warning,) = loaded.warnings
    assert warning.render("f").startswith("f:7:20: certificates[0].ocsp_response: warning: ")
    assert warning.message.endswith("; the certificate is served without one")
    assert loaded.snapshot.certificates[0].staple is None
