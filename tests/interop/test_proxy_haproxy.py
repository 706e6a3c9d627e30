"""HAProxy on both sides: as a server it reads our PROXY protocol header, as a client it sends fastnlb one of its own.

It verifies the checksum of what it reads; support.proxy_header does, of what we send on.
"""

import socket
import ssl
from contextlib import contextmanager, suppress

import pytest
from support.certs import Issued
from support.peers import fastnlb, free_address, haproxy
from support.procs import wait_for
from support.proxy_header import ALPN, AUTHORITY
from support.rig import receive_all

FETCHES = ("src", "src_port", "dst", "dst_port", "fc_rcvd_proxy", "fc_pp_authority")
SERVER = """
frontend server
  bind {}:{} accept-proxy
  http-request return status 200 content-type text/plain lf-string "{}"
"""
CLIENT = """
listen client{}
  bind {}:{} {}
  unique-id-format %pid-%rt
  server fastnlb {} {}
"""
OPTIONS = "crc32c,authority,unique-id,ssl,cert-cn,cert-key,cert-sig,ssl-cipher"
WAYS = (
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    f"send-proxy-v2 proxy-v2-options {OPTIONS}",
)
TRUSTING = {"accept_proxy_protocol": {"trusted": ["127.0.0.0/8", "::1/128"]}}
SENDING = {"proxy_protocol": {"tlvs": ["alpn", "authority", "crc32c", "ssl"], "eps_id": "epsrv-1"}}
PLAIN = {"proxy_protocol": {"tlvs": ["crc32c"]}}


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request):
    return request.param


@pytest.fixture(scope="module")
def root():
    return Issued.root()


@pytest.fixture
def tls(root, tmp_path):
    """What a TLS listener says in the file, and the parts it names."""
    certificate, key = root.issue("localhost").write(tmp_path)
    pair = {"name": "c", "certificate": str(certificate), "private_key": str(key)}
    return {"protocol": "TCPSSL", "certificate": "c", "alpn_policy": "HTTP2Preferred"}, {"certificates": [pair]}


@pytest.fixture
def greet(root):
    """greet(socket): TLS over it, as a client that speaks HTTP/1.1."""

    def wrap(sock):
        context = ssl.create_default_context(cadata=root.pem.decode())
        context.set_alpn_protocols(["http/1.1"])
        return context.wrap_socket(sock, server_hostname="localhost")

    return wrap


def at(address, **listener):
    """A listener there."""
    return {"protocol": "TCP", "address": address[0], "port": address[1], **listener}


def written(address):
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect(address):
    return socket.create_connection(address, timeout=10)


# --- behind fastnlb --------------------------------------------------------------------------------------------


def answer(sock):
    """What the server knows of its client."""
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    said = receive_all(sock).decode().rpartition("\r\n")[2].split("|")
    return dict(zip(FETCHES, said, strict=True))


@pytest.fixture
def server(tmp_path):
    address = free_address()
    with haproxy(tmp_path, [address[1]], SERVER.format(*address, "|".join(f"%[{each}]" for each in FETCHES))):
        yield address


def known(client):
    """What a server is to know of it, without TLS."""
    (source, source_port), (target, target_port) = client.getsockname()[:2], client.getpeername()[:2]
    values = (source, str(source_port), target, str(target_port), "1", "")
    return dict(zip(FETCHES, values, strict=True))


@pytest.mark.parametrize("sending", [{"proxy_protocol": {}}, PLAIN])
def test_it_knows_a_tcp_client(tmp_path, server, host, sending):
    address = free_address(host)
    with fastnlb(tmp_path, server, [at(address, **sending)]), connect(address) as client:
        assert answer(client) == known(client)


def test_it_knows_a_tls_client_and_the_name_it_asked_for(tmp_path, server, host, tls, greet):
    settings, parts = tls
    address = free_address(host)
    with (
        fastnlb(tmp_path, server, [at(address, **settings, **SENDING)], **parts),
        greet(connect(address)) as client,
    ):
        assert answer(client) == {**known(client), "fc_pp_authority": "localhost"}


# --- in front of fastnlb ---------------------------------------------------------------------------------------


@pytest.fixture
def through(tmp_path, host, origin):
    """through(ways, bind options, listener, parts) runs both: where a client of HAProxy connects for each way."""

    @contextmanager
    def start(ways, options="", listener=PLAIN, **parts):
        inner = free_address(host)
        entries = {way: free_address(host) for way in ways}
        sections = [
            CLIENT.format(number, *entry, options, written(inner), way)
            for number, (way, entry) in enumerate(entries.items())
        ]
        with (
            fastnlb(tmp_path, origin.address, [at(inner, **TRUSTING, **listener)], **parts) as daemon,
            haproxy(tmp_path, [port for _, port in entries.values()], "".join(sections), mode="tcp"),
        ):
            yield daemon, entries

    return start


@pytest.fixture
def each_is_passed_on(through, headers):
    """With each way, for a client that `wrap` makes, the server sees that client and where it came to."""

    def check(wrap, *setting, **parts):
        with through(WAYS, *setting, **parts) as (daemon, entries):
            for way, entry in entries.items():
                with wrap(connect(entry)) as client:
                    client.sendall(b"hello")
                    assert client.recv(5) == b"hello", way
                    assert headers[-1].source == client.getsockname()[:2], way
                assert headers[-1].target == entry, way
            daemon.wait_numbers(proxy_headers=len(WAYS), proxy_malformed=0, proxy_untrusted=0)

    return check


def test_its_clients_are_passed_on(each_is_passed_on):
    each_is_passed_on(lambda sock: sock)


def test_so_are_the_clients_of_its_tls(each_is_passed_on, headers, root, greet, tmp_path):
    """What it says of TLS is not handed on: that was not ours."""
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in root.issue("localhost").write(tmp_path)))
    each_is_passed_on(greet, f"ssl crt {both} alpn http/1.1")
    assert {header.tlv(AUTHORITY) for header in headers} == {None}


def test_tls_that_it_does_not_touch(each_is_passed_on, headers, tls, greet):
    settings, parts = tls
    each_is_passed_on(greet, "", {**settings, **SENDING}, **parts)
    assert {(header.tlv(ALPN), header.tlv(AUTHORITY)) for header in headers} == {(b"http/1.1", b"localhost")}


def test_its_health_checks_come_as_themselves(through, headers):
    """They begin with LOCAL: what is passed on are the addresses of its own connection."""
    way = "send-proxy-v2 check check-send-proxy inter 100ms"
    with through([way]) as (daemon, entries):
        wait_for(lambda: headers, "a check")
        daemon.wait_numbers(proxy_malformed=0)
    (entry,) = entries.values()
    assert (headers[0].source[0], headers[0].target[0]) == (entry[0], entry[0])
    assert headers[0].target != entry


def test_without_a_header_it_is_not_served(through, headers):
    with through([""]) as (daemon, entries), connect(entries[""]) as client:
        client.sendall(b"hello")
        with suppress(ConnectionResetError):
            assert client.recv(5) == b""
        daemon.wait_numbers(proxy_malformed=1, closed_proxy=1)
    assert not headers
