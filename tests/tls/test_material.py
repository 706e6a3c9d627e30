"""Certificates and keys from files: what is accepted, what is refused and in which words, and nothing leaks."""

from __future__ import annotations

import base64
import ipaddress
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from support.certs import Folder, Issued, private_pem

from fastnlb.model import Certificate, Staple
from fastnlb.tls.files import read
from fastnlb.tls.material import MAX_BYTES, MaterialError, load_pair, parse_pair, self_signed

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def pem(key: Key | dsa.DSAPrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def certify(key: Key, begin: datetime = NOW - DAY, end: datetime = NOW + DAY) -> bytes:
    """Signed by itself; for keys of any type, also those that are refused."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, begin, end)
    plain_signature = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if plain_signature else hashes.SHA256()).public_bytes(Encoding.PEM)


ROOT = Issued.root()
ISSUING = ROOT.intermediate("issuing")
LEAF = ISSUING.issue("www.example.com")
RSA_LEAF = ISSUING.issue("www.example.com", key="RSA")
PASSPHRASE = b"correct horse"


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    assert isinstance(LEAF.key, ec.EllipticCurvePrivateKey)
    return LEAF.key


@pytest.fixture
def chain() -> bytes:
    return LEAF.chain_pem


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def refusal(certificate: Path, key: Path | None = None, passphrase: Path | None = None) -> MaterialError:
    with pytest.raises(MaterialError) as caught:
        load_pair(certificate, key, passphrase)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA 2048", "P-256", "P-384", "P-521", "Ed25519"],
)
def test_supported_keys_are_accepted(folder: Folder, key: Key) -> None:
    certificate = certify(key)
    pair = load_pair(folder.put("c.pem", certificate), folder.put("c.key", pem(key)))
    assert pair.chain_pem == certificate
    assert pair.key_pem == pem(key)
    assert pair.warnings == ()


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits"),  # noqa: S505
        (ec.generate_private_key(ec.SECP256K1()), "ECDSA on secp256k1"),
        (ed448.Ed448PrivateKey.generate(), "of the type Ed448"),
    ],
)
def test_other_keys_are_refused_with_those_that_are_supported(folder: Folder, key: Key, what: str) -> None:
    error = refusal(folder.put("c.pem", certify(key)), folder.put("c.key", pem(key)))
    assert f"c.key is {what}; supported are RSA of 2048 bits or more, ECDSA on P-256" in str(error)
    assert error.part == "private_key"


def test_a_certificate_for_an_rsassa_pss_key_is_refused(folder: Folder) -> None:
    """The TLS library would refuse the pair when it is too late."""
    any_use, pss_only = (bytes.fromhex(each) for each in ("06092a864886f70d0101010500", "06092a864886f70d01010a3000"))
    der = RSA_LEAF.certificate.public_bytes(Encoding.DER)
    assert der.count(any_use) == 1
    leaf = armour(b"CERTIFICATE", der.replace(any_use, pss_only))
    error = refusal(folder.put("c.pem", leaf), folder.put("c.key", RSA_LEAF.key_pem))
    assert "the leaf is for a key of the type RSASSA-PSS, which cannot be served with" in str(error)
    assert error.part == "certificate"


def test_the_chain_keeps_its_order_and_loses_everything_else(
    folder: Folder, key: ec.EllipticCurvePrivateKey, chain: bytes
) -> None:
    noisy = b"subject=CN = leaf\r\n" + chain.replace(b"\n", b"\r\n") + b"the end"
    pair = load_pair(folder.put("c.pem", noisy), folder.put("c.key", b"Bag Attributes\n", pem(key)))
    assert pair.chain_pem == chain
    assert pair.chain_pem.count(b"BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_key_may_be_in_the_certificate_file(
    folder: Folder, key: ec.EllipticCurvePrivateKey, chain: bytes, order: Sequence[int]
) -> None:
    both = folder.put("both.pem", *((chain, pem(key))[index] for index in order))
    pair = load_pair(both)
    assert pair == load_pair(both, both)
    assert (pair.chain_pem, pair.key_pem) == (chain, pem(key))


def test_a_traditional_key_becomes_pkcs8(folder: Folder, key: ec.EllipticCurvePrivateKey, chain: bytes) -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    path = folder.put("c.key", parameters, pem(key, PrivateFormat.TraditionalOpenSSL))
    pair = load_pair(folder.put("c.pem", chain), path)
    assert pair.key_pem == pem(key)
    assert pair.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "has no CERTIFICATE block: PEM with the leaf first is needed"),
        (b"\x30\x82\x01\x0a\x00", "this looks like DER or PKCS#12, which has to be converted"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n", "has no CERTIFICATE block"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificate 1 of 1 cannot be decoded"),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "certificate 1 of 1 cannot be decoded"),
        (b"-----BEGIN \xff-----\n-----END \xff-----\n", "has no CERTIFICATE block"),
        (b"x" * (MAX_BYTES + 1), "is over 1 MiB"),
    ],
    ids=["empty", "DER", "unfinished", "truncated", "garbage", "odd label", "large"],
)
def test_a_file_that_holds_no_certificate(folder: Folder, contents: bytes, message: str) -> None:
    path = folder.put("c.pem", contents)
    error = refusal(path, path)
    assert str(error).startswith(str(path))
    assert message in str(error)
    assert error.part == "certificate"


def test_a_damaged_certificate_is_counted(folder: Folder, chain: bytes) -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert "certificate 3 of 3 cannot be decoded" in str(refusal(folder.put("c.pem", chain, broken)))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "has no PRIVATE KEY block: the key of the certificate is needed"),
        (b"\x30\x82\x01\x0a\x00", "this looks like DER or PKCS#12"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "cannot be decoded"),
        (pem(dsa.generate_private_key(1024)), "of the type DSA; supported are"),  # noqa: S505
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
            ),
            "is encrypted: name its passphrase file in private_key_passphrase_file, or decrypt it",
        ),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")
            ),
            "is encrypted",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1())), "does not belong to the certificate in"),
    ],
    ids=["empty", "DER", "damaged", "DSA", "encrypted", "encrypted the old way", "another's"],
)
def test_a_file_that_holds_no_usable_key(folder: Folder, chain: bytes, contents: bytes, message: str) -> None:
    path = folder.put("c.key", contents)
    error = refusal(folder.put("c.pem", chain), path)
    assert message in str(error)
    assert str(path) in str(error)
    assert error.part == "private_key"


def test_a_leaf_that_is_not_first_is_told_its_position(
    folder: Folder, key: ec.EllipticCurvePrivateKey, chain: bytes
) -> None:
    first, second = (
        part + b"-----END CERTIFICATE-----\n" for part in chain.split(b"-----END CERTIFICATE-----\n")[:2]
    )
    path = folder.put("c.pem", second, second, first, pem(key))
    assert str(refusal(path)) == f"{path}: the leaf is certificate 3 of 3, and it has to be the first"


@pytest.mark.parametrize(("issued", "kind"), [(LEAF, "ECDSA"), (RSA_LEAF, "RSA")], ids=["ECDSA", "RSA"])
def test_a_pair_says_what_it_is_for_and_until_when(folder: Folder, issued: Issued, kind: str) -> None:
    pair = load_pair(*issued.write(folder.path))
    assert (pair.names, pair.key_type) == (("www.example.com",), kind)
    assert pair.not_before == issued.certificate.not_valid_before_utc.timestamp()
    assert pair.not_after == issued.certificate.not_valid_after_utc.timestamp()
    staple = Staple(b"der", 5)
    assert pair.certificate("www", staple) == Certificate(
        "www", pair.chain_pem, pair.key_pem, pair.names, kind, pair.not_before, pair.not_after, staple
    )


def test_a_pair_in_memory_is_read_as_one_in_files(folder: Folder) -> None:
    assert parse_pair(LEAF.chain_pem, LEAF.key_pem) == load_pair(*LEAF.write(folder.path))
    with pytest.raises(MaterialError, match="the private key in the text given is encrypted"):
        parse_pair(LEAF.chain_pem, private_pem(LEAF.key, PASSPHRASE))


def test_what_cryptography_remarks_on_reaches_nobody(folder: Folder, key: ec.EllipticCurvePrivateKey) -> None:
    """pytest makes an error of every Python warning; these certificates are odd, and in use."""
    with pytest.warns(UserWarning, match="Attribute's length"):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 80, _validate=False)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    negative = der.replace(b"\x02\x01\x01", b"\x02\x01\xff", 1)
    load_pair(folder.put("c.pem", armour(b"CERTIFICATE", negative), pem(key)))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_is_a_refusal_or_harmless(data: st.DataObject) -> None:
    """One byte of the leaf or of the key changed: whatever comes of it, nothing but MaterialError is raised."""
    leaf = bytearray(LEAF.certificate.public_bytes(Encoding.DER))
    key = bytearray(LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    victim = data.draw(st.sampled_from([leaf, key]))
    victim[data.draw(st.integers(0, 9999)) % len(victim)] ^= data.draw(st.integers(1, 255))
    with suppress(MaterialError):
        parse_pair(armour(b"CERTIFICATE", leaf) + ISSUING.pem, armour(b"PRIVATE KEY", key))


def armour(label: bytes, der: bytes) -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der), label)


def test_paths_that_cannot_be_read(folder: Folder) -> None:
    assert str(refusal(folder.path / "gone.pem")).endswith("gone.pem: cannot read: No such file or directory")
    assert "is a directory: a PEM file is needed" in str(refusal(folder.path))
    assert "cannot read: " in str(refusal(folder.path / "a\0b"))
    os.mkfifo(folder.path / "pipe")
    assert "is no regular file" in str(refusal(folder.path / "pipe"))


def test_a_file_that_has_no_size_of_its_own_is_read_all_the_same() -> None:
    """As those of /proc, or one that grows while it is looked at."""
    assert read("/proc/self/status", "certificate").raw.startswith(b"Name:")
    with pytest.raises(MaterialError, match="is over 0 KiB"):
        read("/proc/self/status", "certificate", limit=10)


def test_an_unreadable_key_is_the_keys_fault(folder: Folder, chain: bytes) -> None:
    error = refusal(folder.put("c.pem", chain), folder.path / "gone.key")
    assert (error.part, "gone.key: cannot read" in str(error)) == ("private_key", True)


@pytest.mark.parametrize(
    ("begin", "end", "warning"),
    [
        (NOW - 2 * DAY, NOW - DAY, "certificate 1 of 1 expired on "),
        (NOW + DAY, NOW + 2 * DAY, "certificate 1 of 1 is not valid before "),
    ],
)
def test_a_certificate_out_of_its_time_is_a_warning(
    folder: Folder, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime, warning: str
) -> None:
    pair = load_pair(folder.put("c.pem", certify(key, begin, end), pem(key)))
    assert [warning in each for each in pair.warnings] == [True]


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_can_read_is_a_warning(
    folder: Folder, key: ec.EllipticCurvePrivateKey, chain: bytes, mode: int, warned: bool
) -> None:
    certificate, path = folder.put("c.pem", chain), folder.put("c.key", pem(key))
    certificate.chmod(0o644)
    path.chmod(mode)
    warnings = load_pair(certificate, path).warnings
    assert warnings == ((f"{path} holds a private key and others than its owner can read it: chmod 600 it",) * warned)


def test_reading_a_file_of_begin_lines_takes_no_time(folder: Folder) -> None:
    path = folder.put("c.pem", b"-----BEGIN CERTIFICATE-----\n" * (MAX_BYTES // 28))
    before = datetime.now(UTC)
    refusal(path)
    assert datetime.now(UTC) - before < timedelta(seconds=2)


def test_no_key_is_in_a_repr_a_message_or_an_exception_chain(
    folder: Folder, key: ec.EllipticCurvePrivateKey, chain: bytes
) -> None:
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    damaged = other.replace(other.splitlines()[2], b"AAAA")
    pair = load_pair(folder.put("c.pem", chain, pem(key)))
    assert pem(key).splitlines()[1].decode() not in repr(pair)
    for contents in (other, damaged):
        error = refusal(folder.put("c.pem", chain), folder.put("c.key", contents))
        assert other.splitlines()[1].decode() not in repr(error) + str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None


def test_a_self_signed_pair_loads_without_a_warning(folder: Folder) -> None:
    chain, key = self_signed(["localhost"])
    pair = load_pair(folder.put("c.pem", chain), folder.put("c.key", key))
    assert (pair.chain_pem, pair.key_pem, pair.warnings) == (chain, key, ())


def test_a_self_signed_certificate_says_what_it_is_for() -> None:
    chain, key = self_signed(["www.example.com", "*.example.com", "127.0.0.1", "::1"])
    certificate = x509.load_pem_x509_certificate(chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["www.example.com", "*.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(ip) for ip in ("127.0.0.1", "::1")]
    assert certificate.subject.rfc4514_string() == "CN=www.example.com"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=30)
    age = datetime.now(UTC) - certificate.not_valid_before_utc
    assert timedelta(minutes=59) < age < timedelta(minutes=61)
    loaded = load_pem_private_key(key, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert loaded.curve.name == "secp256r1"
    assert loaded.public_key() == certificate.public_key()


def test_a_name_longer_than_a_common_name_may_be_is_still_a_name() -> None:
    name = "a" * 60 + ".example.com"
    certificate = x509.load_pem_x509_certificate(self_signed([name])[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]


@pytest.mark.parametrize("names", [[], [""], ["www", ""], ["b\u00fccher.example"]])
def test_names_that_no_certificate_can_be_for(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        self_signed(names)


def test_the_policies_are_data_and_load_no_tls_library() -> None:
    probe = "import sys, fastnlb.tls.policies; print([m for m in sys.modules if m.startswith(('OpenSSL', 'crypt'))])"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
