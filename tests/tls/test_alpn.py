"""ALPN: the four policies, the server's preference, and what happens when there is nothing in common."""

import pytest
from support.certs import Issued
from support.tls_rig import certificate

from fastnlb.tls.alpn import POLICIES, wire_form

H2, H11, H10, OTHER = b"h2", b"http/1.1", b"http/1.0", b"spdy/3"


@pytest.fixture(scope="module")
def served():
    return [certificate("c", Issued.root().issue("localhost"))]


def test_the_lists_are_those_of_the_reference():
    assert dict(POLICIES) == {
        "HTTP1Only": ("http/1.1", "http/1.0"),
        "HTTP2Only": ("h2",),
        "HTTP2Optional": ("http/1.1", "http/1.0", "h2"),
        "HTTP2Preferred": ("h2", "http/1.1", "http/1.0"),
    }
    assert wire_form("HTTP2Preferred") == b"\x02h2\x08http/1.1\x08http/1.0"


@pytest.mark.parametrize(
    ("policy", "offered", "chosen"),
    [
        ("HTTP1Only", [H2, H11, H10], H11),
        ("HTTP1Only", [H2, H10], H10),
        ("HTTP1Only", [H10, H11], H11),
        ("HTTP1Only", [H2], b""),
        ("HTTP2Only", [H11, H2], H2),
        ("HTTP2Only", [H11], b""),
        ("HTTP2Optional", [H2, H11], H11),
        ("HTTP2Optional", [H2, H10], H10),
        ("HTTP2Optional", [H2], H2),
        ("HTTP2Preferred", [H10, H11, H2], H2),
        ("HTTP2Preferred", [H10, H11], H11),
        ("HTTP2Preferred", [OTHER], b""),
        ("HTTP2Preferred", [OTHER] * 20 + [H10], H10),
        ("HTTP2Preferred", [b"h", b"h2c", b"http/1.", b"http/1.11"], b""),
        ("HTTP2Preferred", [b"x" * 255, H11], H11),
        ("HTTP2Preferred", [], b""),
        (None, [H2, H11], b""),
    ],
)
def test_the_policy_chooses(tls_rig, served, version, policy, offered, chosen):
    one = tls_rig(served, alpn_policy=policy)
    client = one.tls_client(version, alpn=offered).handshake()
    client.send(b"ping")
    assert client.receive_exactly(4) == b"ping"
    assert client.tls.get_alpn_proto_negotiated() == chosen


def test_strict_refuses_a_client_with_nothing_in_common_and_no_other(tls_rig, served, version):
    one = tls_rig(served, alpn_policy="HTTP2Only", alpn_strict=True)
    assert "no application protocol" in one.tls_client(version, alpn=[H11]).refused()
    assert one.tls_client(version, alpn=[H11, H2]).handshake().tls.get_alpn_proto_negotiated() == H2
    assert one.tls_client(version).handshake().tls.get_alpn_proto_negotiated() == b""
    one.wait_for(refused_alpn=1, handshakes_failed=1)


def test_a_change_of_policy_is_in_force_at_once_also_for_resumed_sessions(tls_rig, served, version):
    one = tls_rig(served, alpn_policy="HTTP1Only")
    first = one.tls_client(version, alpn=[H2, H11]).handshake()
    first.send(b"x")
    first.receive_exactly(1)
    one.change(alpn_policy="HTTP2Preferred")
    second = one.tls_client(version, resume=first).handshake()
    one.wait_for(handshakes_resumed=1)
    assert second.tls.get_alpn_proto_negotiated() == H2
