"""PROXY protocol headers of clients: who is believed, and that nothing behind a header is lost."""

import socket
import time

import pytest
from OpenSSL import SSL
from support.certs import Issued
from support.proxy_header import SIGNATURE
from support.tls_client import reset
from support.tls_rig import TlsRig, certificate

from fastnlb.model import ProxyProtocol
from fastnlb.worker.proxy import network

OUT = (8, b"")
ME = [network("127.0.0.0/8")]
OTHERS = [network("10.0.0.0/8"), network("2001:db8::/32")]
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"
V2 = SIGNATURE + bytes.fromhex("2111000cc0000201c6336402c82201bb")
V6 = SIGNATURE + bytes.fromhex("21210024") + bytes(15) + b"\x01" + bytes(15) + b"\x02" + b"\x00\x07\x00\x08"
LOCAL = SIGNATURE + bytes.fromhex("20000000")


def is_reset(client):
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    return True


@pytest.mark.parametrize(
    ("header", "source", "target"),
    [
        (V1, ("192.0.2.1", 51234), ("198.51.100.2", 443)),
        (V2, ("192.0.2.1", 51234), ("198.51.100.2", 443)),
        (V6, ("::1", 7), ("::2", 8)),
        (LOCAL, None, None),
        (b"PROXY UNKNOWN\r\n", None, None),
    ],
)
def test_what_it_says_is_passed_on(rig, origin, headers, header, source, target):
    one = rig([origin.address], proxy=(OUT, ME))
    client = one.connect()
    client.sendall(header + b"hello")
    assert client.recv(5) == b"hello"
    assert headers[0].source == (source or client.getsockname())
    assert headers[0].target == (target or one.address)
    one.wait_for(proxy_headers=1, bytes_up=5)


@pytest.mark.parametrize("header", [V1, V2])
def test_one_byte_at_a_time(rig, origin, headers, header):
    one = rig([origin.address], proxy=(OUT, ME))
    client = one.connect()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in header + b"x":
        client.sendall(bytes([byte]))
        time.sleep(0.001)
    assert client.recv(1) == b"x"
    assert headers[0].source == ("192.0.2.1", 51234)


@pytest.mark.parametrize("together", [True, False])
def test_tls_follows(origin, headers, version, together):
    served = [certificate("c", Issued.root().issue("localhost"))]
    one = TlsRig([origin.address], served, proxy_protocol=ProxyProtocol(), trusted=("127.0.0.0/8",))
    client = one.tls_client(version)
    if together:
        with pytest.raises(SSL.WantReadError):
            client.tls.do_handshake()
        client.socket.sendall(V2 + client.outgoing())
    else:
        client.socket.sendall(V2)
        one.wait_for(proxy_headers=1)
        assert one.counters()["tls_objects"] == 0, "nothing of TLS before its first byte"
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    assert headers[0].source == ("192.0.2.1", 51234)
    one.close()


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x05", V1[:-2] + b" \r\n", V2[:12] + b"\x11"]
)
def test_a_malformed_header_is_reset(rig, origin, headers, first):
    one = rig([origin.address], proxy=(OUT, ME))
    client = one.connect()
    client.sendall(first)
    assert is_reset(client)
    one.wait_for(proxy_malformed=1, closed_proxy=1)
    assert not headers


def test_a_late_header_is_reset(rig, origin):
    one = rig([origin.address], proxy=(OUT, ME), handshake_ms=200)
    client = one.connect()
    client.sendall(V1[:20])
    assert is_reset(client)
    one.wait_for(proxy_timed_out=1, closed_proxy=1)


@pytest.mark.parametrize("end", [socket.socket.close, reset, lambda sock: sock.shutdown(socket.SHUT_WR)])
@pytest.mark.parametrize("begun", [b"", V2[:15]])
def test_a_peer_that_leaves_before_the_end_of_its_header(rig, origin, begun, end):
    one = rig([origin.address], proxy=(OUT, ME))
    client = one.connect()
    client.sendall(begun)
    end(client)
    one.wait_for(2, proxy_aborted=1, closed_proxy=1)


def test_a_header_and_the_end_at_once(rig, origin, headers):
    one = rig([origin.address], proxy=(OUT, ME))
    client = one.connect()
    client.sendall(V2 + b"last")
    client.shutdown(socket.SHUT_WR)
    assert client.recv(4, socket.MSG_WAITALL) == b"last"
    assert client.recv(1) == b""
    assert headers[0].source == ("192.0.2.1", 51234)


def test_who_is_not_trusted_cannot_make_up_an_address(rig, origin, headers):
    one = rig([origin.address], proxy=(OUT, OTHERS))
    client = one.connect()
    client.sendall(V2)
    assert client.recv(100) == V2, "to the server it is the client's data"
    assert headers[0].source == client.getsockname()
    one.wait_for(proxy_untrusted=1)
    assert one.counters()["proxy_headers"] == 0


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [("127.0.0.1/32", True), ("127.0.0.0/31", True), ("127.0.0.2/31", False), ("0.0.0.0/0", True), ("::/0", True),
     ("126.0.0.0/7", True), ("128.0.0.0/1", False)],
)  # fmt: skip
def test_networks_of_every_length(rig, origin, headers, trusted, believed):
    one = rig([origin.address], proxy=(OUT, [network(trusted)]))
    client = one.connect()
    client.sendall(V1)
    one.wait_for(**{"proxy_headers" if believed else "proxy_untrusted": 1})
