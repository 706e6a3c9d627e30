"""The PROXY protocol header at the server: what it says of real connections, and that it comes before everything."""

import socket

import pytest
from support.certs import CLIENT, Issued
from support.procs import wait_for
from support.proxy_header import (
    ALPN,
    AUTHORITY,
    CIPHER,
    COMMON_NAME,
    CRC32C,
    CUSTOM,
    KEY_ALG,
    SIG_ALG,
    VERSION,
    read_header,
)
from support.rig import Rig
from support.tls_rig import TlsRig, certificate

from fastnlb.model import OPTIONAL, CaCertificate, ProxyProtocol

EVERYTHING = ProxyProtocol(("alpn", "authority", "crc32c", "ssl"), "vpc-1", "ep-2", "epsrv-3")
PLAIN = ((8, b""), [])


@pytest.fixture(scope="module")
def staff():
    return Issued.root("staff")


@pytest.fixture(scope="module")
def served():
    return [certificate("c", Issued.root().issue("localhost", key="RSA"))]


@pytest.fixture
def front(origin):
    made = []

    def start(certificates, **listener):
        made.append(TlsRig([origin.address], certificates, proxy_protocol=EVERYTHING, **listener))
        return made[-1]

    yield start
    for one in made:
        one.close()


def say_hello(client):
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    return client


def test_everything_that_tls_has_to_say(front, headers, served, staff, version):
    authority = CaCertificate("staff", staff.pem)
    one = front(served, authority=authority, alpn_policy="HTTP2Preferred")
    alice = staff.issue(common_name="Zoë", usages=[CLIENT])
    client = say_hello(one.tls_client(version, identity=alice, alpn=[b"h2"]))
    (header,) = headers
    assert header.source == client.socket.getsockname()
    assert header.target == one.address
    assert [kind for kind, _ in header.tlvs] == [CUSTOM, CUSTOM, CUSTOM, CRC32C, ALPN, AUTHORITY, 0x20]
    assert [value for kind, value in header.tlvs if kind == CUSTOM] == [b"\x01vpc-1", b"\x02ep-2", b"\x03epsrv-3"]
    assert header.tlv(ALPN) == b"h2"
    assert header.tlv(AUTHORITY) == b"localhost"
    client_bits, verify, inside = header.ssl()
    assert (client_bits, verify) == (7, 0)
    assert list(inside) == [VERSION, COMMON_NAME, KEY_ALG, SIG_ALG, CIPHER]
    assert inside[VERSION] == version.encode()
    assert inside[COMMON_NAME] == "Zoë".encode()
    assert inside[KEY_ALG] == b"RSA2048"
    assert inside[SIG_ALG] == b"ecdsa-with-SHA256"
    assert inside[CIPHER] == client.tls.get_cipher_name().encode()
    assert len(header.raw) < 536
    one.wait_for(bytes_up=5, bytes_down=5)
    assert one.counters()["bytes_up"] == 5, "the header is no byte of the client's"


def test_a_client_without_a_certificate_is_not_verified(front, headers, served, staff, version):
    one = front(served, authority=CaCertificate("staff", staff.pem), client_certificate=OPTIONAL)
    say_hello(one.tls_client(version, name=None))
    (header,) = headers
    client_bits, verify, inside = header.ssl()
    assert (client_bits, verify) == (1, 1)
    assert COMMON_NAME not in inside
    assert header.tlv(ALPN) is None
    assert header.tlv(AUTHORITY) is None


def test_a_resumed_session_had_a_certificate(front, headers, served, staff, version):
    one = front(served, authority=CaCertificate("staff", staff.pem))
    first = say_hello(one.tls_client(version, identity=staff.issue(common_name="alice", usages=[CLIENT])))
    first.end_stream()
    say_hello(one.tls_client(version, resume=first))
    one.wait_for(handshakes_resumed=1)
    before, after = headers
    assert before.ssl()[:2] == (7, 0)
    assert after.ssl()[:2] == (5, 0)
    assert after.ssl()[2] == before.ssl()[2]
    assert after.tlv(AUTHORITY) == b"localhost"


@pytest.mark.parametrize(("ciphers", "key"), [("aRSA", b"RSA2048"), ("aECDSA", b"EC256")])
def test_the_algorithms_are_those_of_the_certificate_shown(front, headers, ciphers, key):
    root = Issued.root()
    one = front([certificate(key, root.issue("localhost", key=key)) for key in ("RSA", "P-256")])
    first = say_hello(one.tls_client("TLSv1.2", ciphers=ciphers))
    first.end_stream()
    say_hello(one.tls_client("TLSv1.2", resume=first))
    assert headers[0].ssl()[2][KEY_ALG] == key
    assert KEY_ALG not in headers[1].ssl()[2], "which of the two a session began with is not known"


def test_a_name_too_long_is_left_out_and_not_cut(front, headers, served, staff):
    one = front(served, authority=CaCertificate("staff", staff.pem))
    say_hello(one.tls_client(identity=staff.issue(common_name="x" * 64, usages=[CLIENT])))
    assert headers[0].ssl()[2][COMMON_NAME] == b"x" * 64


# --- plain TCP -------------------------------------------------------------------------------------------------


def test_it_comes_before_any_byte_of_the_client(rig, origin, headers):
    one = rig([origin.address], proxy=PLAIN)
    client = one.connect()
    wait_for(lambda: headers, "the header")
    assert headers[0].source == client.getsockname()
    assert headers[0].target == one.address
    assert headers[0].tlv(CRC32C) is not None
    client.sendall(b"late")
    assert client.recv(4) == b"late"


def test_a_server_that_speaks_first_has_it_first(backend, rig):
    def greet(sock):
        header = read_header(sock)
        sock.sendall(b"220 %d\r\n" % header.source[1])
        sock.sendall(sock.recv(100))

    one = rig([backend(greet).address], proxy=PLAIN)
    client = one.connect()
    assert client.recv(100) == b"220 %d\r\n" % client.getsockname()[1]
    client.sendall(b"QUIT")
    assert client.recv(100) == b"QUIT"


def test_it_is_sent_to_the_server_that_is_left_after_another_refused(rig, origin, headers):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()
    one = rig([refusing, origin.address], proxy=PLAIN)
    client = one.connect()
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    assert len(headers) == 1


def test_a_client_that_ends_at_once_is_announced_all_the_same(rig, origin, headers):
    one = rig([origin.address], proxy=PLAIN)
    client = one.connect()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert headers[0].source == client.getsockname()


def test_over_ipv6(origin, headers, monkeypatch):
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    listener.setblocking(False)
    monkeypatch.setattr("support.rig.listening_socket", lambda: listener)
    one = Rig([origin.address], proxy=PLAIN)
    client = one.connect()
    wait_for(lambda: headers, "the header")
    assert headers[0].source == client.getsockname()[:2]
    assert headers[0].target == ("::1", one.port)
    one.close()
