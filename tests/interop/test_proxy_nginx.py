"""nginx behind fastnlb: what it makes of our PROXY protocol header, as a web server and as a stream server."""

import socket
import ssl
from contextlib import contextmanager, suppress

import pytest
from support.board import board_of, wait_health
from support.certs import CLIENT, Issued
from support.peers import fastnlb, free_address, nginx, nginx_version
from support.procs import free_port
from support.rig import receive_all

from fastnlb.board import Health, Reason

LARGE_HEADERS = (1, 23, 3)  # the stream module reads 107 bytes at most before it; variables for TLVs are one older
ADDRESSES = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"
TLVS = ("alpn", "authority", "ssl_version", "ssl_verify", "ssl_cn", "ssl_cipher", "ssl_key_alg", "ssl_sig_alg")
EVERYTHING = {"tlvs": ["alpn", "authority", "crc32c", "ssl"], "vpc_id": "vpc-1"}
BLOCKS = {
    "http": 'server {{ listen {}:{} proxy_protocol; location / {{ return 200 "\\n{}"; }} }}',
    "stream": 'server {{ listen {}:{} proxy_protocol; return "{}"; }}',
}


@pytest.fixture(params=BLOCKS)
def kind(request):
    return request.param


def serving(kind, folder, text=ADDRESSES):
    """An nginx of that kind which answers with `text`, and its address."""
    address = free_address()
    return nginx(folder, [address[1]], **{kind: BLOCKS[kind].format(*address, text)}), address


def answer(sock, kind):
    """What nginx returned, past an HTTP head; as a stream server it answers before it is asked."""
    if kind == "http":
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    return receive_all(sock).decode().rpartition("\n")[2]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("tlvs", [[], ["crc32c"]])
def test_the_addresses(tmp_path, kind, host, tlvs):
    peer, server = serving(kind, tmp_path)
    address = free_address(host)
    listener = {"protocol": "TCP", "address": host, "port": address[1], "proxy_protocol": {"tlvs": tlvs}}
    with peer, fastnlb(tmp_path, server, [listener]), socket.create_connection(address, timeout=10) as client:
        source = client.getsockname()
        assert answer(client, kind) == f"{host} {source[1]} {host} {address[1]}"


@pytest.fixture
def tls_client(tmp_path):
    """tls_client(server, proxy_protocol) is a context: a client of a TLS listener, with a certificate."""
    root, staff = Issued.root(), Issued.root("staff")
    certificate, key = root.issue("localhost", key="RSA").write(tmp_path)
    (tmp_path / "staff.pem").write_bytes(staff.pem)
    context = ssl.create_default_context(cadata=root.pem.decode())
    context.load_cert_chain(*staff.issue(common_name="alice", usages=[CLIENT]).write(tmp_path, "alice"))
    context.set_alpn_protocols(["http/1.1"])
    parts = {
        "certificates": [{"name": "c", "certificate": str(certificate), "private_key": str(key)}],
        "ca_certificates": [{"name": "staff", "certificate": str(tmp_path / "staff.pem")}],
    }
    tls = {"protocol": "TCPSSL", "certificate": "c", "ca_certificate": "staff", "alpn_policy": "HTTP2Preferred"}

    @contextmanager
    def connect(server, proxy_protocol):
        host, port = address = free_address()
        listener = {**tls, "address": host, "port": port, "proxy_protocol": proxy_protocol}
        with fastnlb(tmp_path, server, [listener], **parts):
            sock = socket.create_connection(address, timeout=10)
            with context.wrap_socket(sock, server_hostname="localhost") as client:
                yield client

    return connect


def test_what_tls_has_to_say(tmp_path, kind, tls_client):
    if nginx_version() < LARGE_HEADERS:
        pytest.skip("this nginx has no variables for TLVs, or no room for them")
    variables = "|".join(f"$proxy_protocol_tlv_{each}" for each in TLVS)
    peer, server = serving(kind, tmp_path, variables)
    with peer, tls_client(server, EVERYTHING) as client:
        said = dict(zip(TLVS, answer(client, kind).split("|"), strict=True))
        assert said.pop("ssl_cipher") == client.cipher()[0]
    assert said.pop("ssl_verify") in ("0", "")
    assert said == {
        "alpn": "http/1.1",
        "authority": "localhost",
        "ssl_version": "TLSv1.3",
        "ssl_cn": "alice",
        "ssl_key_alg": "RSA2048",
        "ssl_sig_alg": "ecdsa-with-SHA256",
    }


@pytest.mark.parametrize("tlvs", [["alpn", "authority", "crc32c"], EVERYTHING["tlvs"]])
def test_the_header_of_a_tls_client(tmp_path, kind, tls_client, tlvs):
    """Also of one whose header a nginx of old reads and cannot name."""
    if len(tlvs) == len(EVERYTHING["tlvs"]) and kind == "stream" and nginx_version() < LARGE_HEADERS:
        pytest.skip("this nginx has no room for so large a header")
    peer, server = serving(kind, tmp_path)
    with peer as log, tls_client(server, {"tlvs": tlvs}) as client:
        (host, source), (_, port) = client.getsockname(), client.getpeername()
        assert answer(client, kind) == f"{host} {source} {host} {port}", log.read_text()


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ({"type": "HTTP", "proxy_protocol": True}, (Health.HEALTHY, Reason.NONE)),
        ({"type": "HTTP"}, (Health.UNHEALTHY, Reason.CONNECT_INTERRUPT)),
    ],
)
def test_a_health_check_by_http_needs_the_header(tmp_path, check, verdict):
    peer, server = serving("http", tmp_path)
    listener = {"protocol": "TCP", "port": free_port(), "proxy_protocol": {}}
    with peer, fastnlb(tmp_path, server, [listener], health_check={**check, "interval": 1}) as daemon:
        with board_of(daemon.program.pid) as board:
            wait_health(board, 0, *verdict)
        warned = "their health check sends none" in daemon.program.output()
    assert warned is (verdict[0] is Health.UNHEALTHY)


def test_a_health_check_by_tcp_with_the_header_is_nothing_to_complain_of(tmp_path, kind):
    peer, server = serving(kind, tmp_path)
    listener = {"protocol": "TCP", "port": free_port(), "proxy_protocol": {}}
    check = {"interval": 1, "proxy_protocol": True}
    with peer as log, fastnlb(tmp_path, server, [listener], health_check=check) as daemon:
        with board_of(daemon.program.pid) as board:
            wait_health(board, 0, Health.HEALTHY)
        with socket.create_connection(("127.0.0.1", listener["port"]), timeout=10) as client:
            answer(client, kind)  # nginx has one worker: the check came before
        assert log.read_text() == ""


def test_a_stream_server_of_old_has_no_room_for_everything(tmp_path, tls_client):
    """docs/configuration.md warns of it."""
    if nginx_version() >= LARGE_HEADERS:
        pytest.skip("this nginx has room")
    peer, server = serving("stream", tmp_path)
    with peer as log, tls_client(server, EVERYTHING) as client:
        with suppress(ConnectionError, ssl.SSLError):
            assert receive_all(client) == b""
        assert "header is too large while reading PROXY protocol" in log.read_text()
