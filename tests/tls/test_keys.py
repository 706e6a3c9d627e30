"""Private keys: passphrases, and RSA keys whose numbers do not belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support.certs import Folder, Issued, private_pem

from fastnlb.tls.keys import is_consistent
from fastnlb.tls.material import MaterialError, load_pair

ROOT = Issued.root()
LEAF, RSA_LEAF = ROOT.issue("www.example.com"), ROOT.issue("www.example.com", key="RSA")
PASSPHRASE = b"correct horse"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def refusal(certificate: Path, key: Path, passphrase: Path | None = None) -> MaterialError:
    with pytest.raises(MaterialError) as caught:
        load_pair(certificate, key, passphrase)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("traditional", [False, True], ids=["PKCS8", "traditional"])
@pytest.mark.parametrize("issued", [LEAF, RSA_LEAF], ids=["ECDSA", "RSA"])
@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n", b"\nsecond line\n"])
def test_an_encrypted_key_is_decrypted_with_the_first_line_of_the_passphrase_file(
    folder: Folder, issued: Issued, traditional: bool, line_end: bytes
) -> None:
    encrypted = folder.put("c.key", private_pem(issued.key, PASSPHRASE, traditional=traditional))
    pair = load_pair(folder.put("c.pem", issued.chain_pem), encrypted, folder.put("c.pass", PASSPHRASE + line_end))
    assert (pair.key_pem, pair.warnings) == (issued.key_pem, ())


@pytest.mark.parametrize("traditional", [False, True], ids=["PKCS8", "traditional"])
@pytest.mark.parametrize(
    ("passphrase", "message"),
    [
        (b"wrong\n", "holds another passphrase, or the key is damaged"),
        (b" " + PASSPHRASE, "holds another passphrase"),
        (b"", "the first line is empty"),
        (b"\n" + PASSPHRASE, "the first line is empty"),
        (b"x" * 5000, "is over 4 KiB: a file with the passphrase in its first line"),
    ],
    ids=["wrong", "space", "empty", "empty line", "large"],
)
def test_a_passphrase_that_opens_nothing(folder: Folder, traditional: bool, passphrase: bytes, message: str) -> None:
    key = folder.put("c.key", private_pem(LEAF.key, PASSPHRASE, traditional=traditional))
    path = folder.put("c.pass", passphrase)
    error = refusal(folder.put("c.pem", LEAF.chain_pem), key, path)
    assert message in str(error)
    assert str(path) in str(error)
    assert error.part == "private_key_passphrase_file"
    assert "correct" not in str(error)
    assert "wrong" not in str(error)


def test_a_passphrase_file_that_cannot_be_read_is_its_own_fault(folder: Folder) -> None:
    key = folder.put("c.key", private_pem(LEAF.key, PASSPHRASE))
    error = refusal(folder.put("c.pem", LEAF.chain_pem), key, folder.path / "gone")
    assert (error.part, str(error).endswith("gone: cannot read: No such file or directory")) == (
        "private_key_passphrase_file",
        True,
    )


def test_a_passphrase_that_is_not_needed_is_a_warning(folder: Folder) -> None:
    certificate, key = LEAF.write(folder.path)
    path = folder.put("c.pass", PASSPHRASE)
    expected = f"{path} is not used: the private key in {key} is not encrypted"
    assert load_pair(certificate, key, path).warnings == (expected,)


def test_a_passphrase_that_others_can_read_is_a_warning(folder: Folder) -> None:
    key, path = folder.put("c.key", private_pem(LEAF.key, PASSPHRASE)), folder.put("c.pass", PASSPHRASE)
    path.chmod(0o640)
    (warning,) = load_pair(folder.put("c.pem", LEAF.chain_pem), key, path).warnings
    assert warning == f"{path} holds a passphrase and others than its owner can read it: chmod 600 it"


@pytest.mark.parametrize("number", ["p", "q", "d", "dmp1", "dmq1", "iqmp"])
def test_an_rsa_key_with_a_damaged_number_is_not_consistent(number: str) -> None:
    assert isinstance(RSA_LEAF.key, rsa.RSAPrivateKey)
    good = RSA_LEAF.key.private_numbers()
    assert is_consistent(good)
    for change in (-2, 2, 1 << 500):
        assert not is_consistent(damaged(good, **{number: getattr(good, number) + change}))
    assert not is_consistent(damaged(good, **{number: 0}))
    assert not is_consistent(damaged(good, **{number: 1}))


def test_an_exponent_that_is_right_for_one_factor_only_is_not_consistent() -> None:
    assert isinstance(RSA_LEAF.key, rsa.RSAPrivateKey)
    good = RSA_LEAF.key.private_numbers()
    wrong_for_q, wrong_for_p = good.d + good.p - 1, good.d + good.q - 1
    assert not is_consistent(damaged(good, d=wrong_for_q, dmq1=wrong_for_q % (good.q - 1)))
    assert not is_consistent(damaged(good, d=wrong_for_p, dmp1=wrong_for_p % (good.p - 1)))


@pytest.mark.parametrize("number", ["d", "dmp1", "dmq1", "iqmp"])
def test_a_key_that_would_leak_itself_through_its_signatures_is_refused(folder: Folder, number: str) -> None:
    assert isinstance(RSA_LEAF.key, rsa.RSAPrivateKey)
    good = RSA_LEAF.key.private_numbers()
    numbers = damaged(good, **{number: getattr(good, number) + 2})
    broken = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    error = refusal(folder.put("c.pem", RSA_LEAF.chain_pem), folder.put("c.key", private_pem(broken)))
    assert "is damaged: its numbers do not belong together" in str(error)
    assert error.part == "private_key"


def damaged(good: rsa.RSAPrivateNumbers, **changes: int) -> rsa.RSAPrivateNumbers:
    names = ("p", "q", "d", "dmp1", "dmq1", "iqmp")
    values = {name: getattr(good, name) for name in names} | changes
    return rsa.RSAPrivateNumbers(public_numbers=good.public_numbers, **values)
