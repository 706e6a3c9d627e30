"""What is said of certificates: of each in a text, and nothing of a text that cannot be read."""

from __future__ import annotations

import pytest
from support.certs import Issued

from fastnlb.tls.describe import describe


def test_each_certificate_is_described_in_order() -> None:
    root = Issued.root("Example CA")
    leaf = root.issue("www.example.test", "shop.example.test")
    first, second = describe(leaf.pem + root.pem)
    assert (first.names, first.issuer) == (("www.example.test", "shop.example.test"), second.subject)
    assert (first.self_signed, second.self_signed) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN NONSENSE-----\nAAAA\n-----END NONSENSE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_what_cannot_be_read_is_not_described(text: bytes) -> None:
    assert describe(text) == ()
