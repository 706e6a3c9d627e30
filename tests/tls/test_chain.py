"""The order of a chain: what is taken as it is, and what is told the order that would be right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certs import SHA1_WITH_RSA, SHA256_WITH_RSA, Folder, Issued

from fastnlb.tls.material import MaterialError, load_pair

ROOT = Issued.root()
ISSUING = ROOT.intermediate("issuing")
LEAF = ISSUING.issue("www.example.com")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def refusal(path: Path) -> str:
    with pytest.raises(MaterialError) as caught:
        load_pair(path)
    assert caught.value.part == "certificate"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def chain_of(*links: Issued) -> bytes:
    return b"".join(link.pem for link in links)


@pytest.mark.parametrize("kind", ["P-256", "RSA", "Ed25519"])
def test_a_chain_may_end_at_the_leaf_at_an_intermediate_or_at_the_root(folder: Folder, kind: str) -> None:
    root = Issued.root(key=kind)
    middle = root.intermediate(key=kind)
    leaf = middle.issue("www.example.com")
    for chain in (chain_of(leaf), chain_of(leaf, middle), chain_of(leaf, middle, root)):
        assert load_pair(folder.put("c.pem", chain, leaf.key_pem)).chain_pem == chain


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (
            (LEAF, ROOT, ISSUING),
            "certificate 2 of 3 (CN=root) is not the issuer of certificate 1 (CN=www.example.com): "
            "the right order is 1, 3, 2",
        ),
        (
            (LEAF, Issued.root("stranger"), ISSUING),
            "certificate 2 of 3 (CN=stranger) is not the issuer of certificate 1 (CN=www.example.com): "
            "keep 1, 3 in this order and remove 2; what issued 3 is CN=root",
        ),
        (
            (LEAF, ISSUING, ROOT, Issued.root("stranger")),
            "certificate 4 of 4 (CN=stranger) is not the issuer of certificate 3 (CN=root): "
            "keep 1, 2, 3 in this order and remove 4",
        ),
        (
            (LEAF, ROOT),
            "certificate 2 of 2 (CN=root) is not the issuer of certificate 1 (CN=www.example.com): "
            "keep 1 and remove 2; what issued 1 is CN=issuing",
        ),
        (
            (LEAF, ROOT.intermediate("issuing")),
            "certificate 2 of 2 (CN=issuing) has the name but not the key of the issuer of certificate 1 "
            "(CN=www.example.com): keep 1 and remove 2; what issued 1 is CN=issuing",
        ),
        ((LEAF, ISSUING, ISSUING), "certificate 3 of 3 (CN=issuing) is also certificate 2: remove one of them"),
        ((LEAF, LEAF), "certificate 2 of 2 (CN=www.example.com) is also certificate 1: remove one of them"),
    ],
    ids=["swapped", "stranger between", "stranger above", "gap", "other key", "twice", "leaf twice"],
)
def test_a_chain_out_of_order_is_told_the_right_one(folder: Folder, links: Sequence[Issued], message: str) -> None:
    path = folder.put("c.pem", chain_of(*links), LEAF.key_pem)
    assert refusal(path) == f"{path}: {message}"


def test_a_chain_with_a_signature_too_weak_to_check_is_a_warning(folder: Folder) -> None:
    root = Issued.root(key="RSA")
    leaf = root.issue("www.example.com")
    assert leaf.certificate.public_bytes(Encoding.DER).count(SHA256_WITH_RSA) == 2
    weak = leaf.certificate.public_bytes(Encoding.DER).replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
    text = x509.load_der_x509_certificate(weak).public_bytes(Encoding.PEM)
    path = folder.put("c.pem", text, root.pem, leaf.key_pem)
    expected = (
        f"{path}: certificate 1 of 2 is signed with SHA-1, which clients refuse: have it issued again with SHA-256"
    )
    assert load_pair(path).warnings == (expected,)
    assert "is not the issuer of" in refusal(folder.put("c.pem", text, Issued.root("other").pem, leaf.key_pem))


def test_a_subject_cannot_break_a_message_into_lines(folder: Folder) -> None:
    odd = Issued.root("a\nb" + "c" * 40)
    path = folder.put("c.pem", chain_of(LEAF, odd), LEAF.key_pem)
    assert "(CN=a?bccc" in refusal(path)
