"""The PROXY protocol settings: from the file to what the core is given."""

import pytest
from support.certs import Issued

from fastnlb.config.plan import plan
from fastnlb.model import Listener, ProxyProtocol, Snapshot
from fastnlb.tls.algorithms import algorithms
from fastnlb.worker import proxy


def listener(**fields):
    return Listener("l", "TCP", "127.0.0.1", 1, "g", **fields)


def test_a_listener_without_any_has_nothing():
    assert proxy.fields(listener()) is None


def test_flags_and_ids():
    sent = ProxyProtocol(("alpn", "ssl"), vpc_id="vpc-1")
    assert proxy.fields(listener(proxy_protocol=sent)) == ((5, b"\xe1\x00\x06\x01vpc-1"), [])


def test_networks_are_those_of_ipv6():
    fields = proxy.fields(listener(trusted=("10.0.0.0/8", "2001:db8::/32", "::/0")))
    mapped = bytes(10) + b"\xff\xff\x0a\x00\x00\x00"
    assert fields == (None, [(mapped, 104), (bytes.fromhex("20010db8") + bytes(12), 32), (bytes(16), 0)])


@pytest.mark.parametrize(
    ("key", "name"), [("RSA", b"RSA2048"), ("P-256", b"EC256"), ("P-384", b"EC384"), ("Ed25519", b"ED25519")]
)
def test_the_names_of_keys(key, name):
    assert algorithms(Issued.root().issue("localhost", key=key).chain_pem) == (name, b"ecdsa-with-SHA256")


def test_a_change_is_told_in_words():
    old, new = (Snapshot((listener(proxy_protocol=each),)) for each in (None, ProxyProtocol(("ssl",), ep_id="ep-1")))
    (line,) = plan(old, new).describe()
    assert line == "~ listener l: proxy_protocol none -> version 2 [ssl, ep_id=ep-1]"
