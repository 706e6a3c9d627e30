"""A handshake that is not completed reaches no server and leaves nothing behind.

Each flight of the client is cut at many places and ended by FIN, by RST or by silence, in both TLS versions and
with both kinds of key; and what was never a handshake is sent in its place.  Every such client is counted once,
costs no server a connection, and the next good client is served.  That nothing stays allocated and that each
accepted connection was counted in exactly one `closed_*` is demanded of every rig when it closes.
"""

import contextlib
import random
import socket
import struct

import pytest
from OpenSSL import SSL
from support.rig import echo
from support.tls_client import reset

VERSIONS = ("TLSv1.2", "TLSv1.3")
RECORD_HEADER = 5
HANDSHAKE, ALERT, DATA = b"\x16", b"\x15", b"\x17"


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(params=["ecdsa", "rsa"])
def kind(request):
    return request.param


@pytest.fixture
def door(rig, backend, material, kind):
    """door(**options) is a TLS rig with a server that must not be reached; door.server is that server."""

    def open_door(**options):
        server = backend(echo)
        one = rig([server.address], material.server_context(kind), **options)
        one.server = server
        return one

    return open_door


def fin(sock):
    """End the stream and read until the other side ends it too, however it does."""
    with contextlib.suppress(ConnectionError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    sock.close()


ENDINGS = {"FIN": fin, "RST": reset}


def cut_places(length, step):
    """Every byte of the first record's header, then a spread over the rest."""
    return sorted({*range(min(RECORD_HEADER + 2, length)), *range(RECORD_HEADER, length, step), length - 1})


def flight_one(client):
    """The ClientHello; the client waits for an answer."""
    with contextlib.suppress(SSL.WantReadError):
        client.tls.do_handshake()
    return client.outgoing()


def flight_two(client):
    """What follows the server's answer: the handshake is complete when all of it has arrived."""
    client.socket.sendall(flight_one(client))
    while True:
        client.feed()
        with contextlib.suppress(SSL.WantReadError):
            client.tls.do_handshake()
        if flight := client.outgoing():
            return flight


FLIGHTS = {"first": (flight_one, 41), "second": (flight_two, 7)}


def assert_only_failures(one, clients):
    """So many clients came, none completed a handshake, no server heard of any; and a good one is still served."""
    one.wait_for(accepted=clients)
    one.wait_nothing_held()
    numbers = one.counters()
    assert numbers["accepted"] == numbers["closed_handshake"] == clients, numbers
    assert numbers["handshakes"] == numbers["connects"] == numbers["connects_failed"] == 0, numbers
    ended = numbers["handshakes_aborted"] + numbers["handshakes_failed"] + numbers["handshakes_timed_out"]
    assert ended == clients, numbers
    assert one.server.accepted == []
    assert_serves(one)
    assert len(one.server.accepted) == 1


def assert_serves(one, version="TLSv1.3"):
    client = one.tls_client(version).handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    client.close()


# --- cut flights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flight", FLIGHTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_flight_may_be_cut_anywhere(door, version, flight, ending):
    one = door()
    make, step = FLIGHTS[flight]
    places = cut_places(len(make(one.tls_client(version))), step)
    for place in places:
        client = one.tls_client(version)
        client.socket.sendall(make(client)[:place])
        ENDINGS[ending](client.socket)
    # The client that only showed how long the flight is stays silent.
    one.close_clients()
    assert_only_failures(one, len(places) + 1)


@pytest.mark.parametrize("flight", FLIGHTS)
def test_silence_after_any_part_of_a_flight_ends_at_the_timeout(door, version, flight):
    one = door(handshake_ms=1500)
    make, step = FLIGHTS[flight]
    places = cut_places(len(make(one.tls_client(version))), 2 * step)
    clients = []
    for place in places:
        client = one.tls_client(version)
        client.socket.sendall(make(client)[:place])
        clients.append(client)
    for client in clients:
        with pytest.raises(ConnectionResetError):
            while client.socket.recv(65536):
                pass
    one.wait_idle()
    assert one.counters()["handshakes_timed_out"] == len(places) + 1
    assert_only_failures(one, len(places) + 1)


def test_a_client_that_resets_while_its_handshake_waits_for_its_turn(door, version):
    """A storm: the loop finds many ClientHellos at once, and many of their senders are gone by then."""
    one = door()
    one.pause()
    clients = [one.tls_client(version) for _ in range(60)]
    for number, client in enumerate(clients):
        client.socket.sendall(flight_one(client))
        if number % 2:
            client.reset()
    one.start()
    for client in clients[::2]:
        client.handshake()
        client.close()
    one.wait_idle()
    numbers = one.counters()
    assert numbers["handshakes"] == 30
    assert numbers["handshakes_aborted"] == numbers["closed_handshake"] == 30


# --- what never was a handshake ------------------------------------------------------------------------------------


def record(kind, body, version=b"\x03\x01", length=None):
    return kind + version + struct.pack("!H", len(body) if length is None else length) + body


NONSENSE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "http proxy": b"CONNECT localhost:443 HTTP/1.1\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.9\r\n",
    "proxy protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "zeros": bytes(4096),
    "sslv2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x03\x00\x80\x07\x00\xc0" + b"\x2a" * 28,
    "sslv2 hello, newer client": b"\x80\x2b\x01\x03\x01\x00\x12\x00\x00\x00\x10" + b"\x00\x00\x2f" * 6 + b"r" * 16,
    "longer than any record": record(HANDSHAKE, b"\x01" * 65_535),
    "one byte longer than any record": record(HANDSHAKE, b"\x01" * (16_384 + 256 + 1)),
    "hello of 16 MiB": record(HANDSHAKE, b"\x01\xff\xff\xff\x03\x03" + b"r" * 16_000) * 5,
    "hello of no record version": record(HANDSHAKE, b"\x01\x00\x00\x00", version=b"\x09\x09"),
    "finished first": record(HANDSHAKE, b"\x14\x00\x00\x0c" + b"f" * 12),
    "server's hello": record(HANDSHAKE, b"\x02\x00\x00\x26\x03\x03" + b"r" * 36),
    "data first": record(DATA, b"d" * 100, version=b"\x03\x03"),
    "change of ciphers first": record(b"\x14", b"\x01"),
    "unknown kind of record": record(b"\x63", b"?" * 10),
    "close_notify first": record(ALERT, b"\x01\x00"),
    "fatal alert first": record(ALERT, b"\x02\x28"),
    "many warnings": record(ALERT, b"\x01\x5a") * 20,
    "half an alert and a hello": record(ALERT, b"\x01") + record(HANDSHAKE, b"\x01\x00\x00\x00"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_turned_away_at_once(rig, backend, material, what):
    """The client need not leave first: it is told, or at least let go, well before the handshake timeout."""
    one = rig([backend(echo).address], material.server_context(), handshake_ms=60_000)
    with one.connect() as client, contextlib.suppress(ConnectionError):
        client.settimeout(5)
        client.sendall(NONSENSE[what])
        while client.recv(65536):
            pass
    one.wait_idle(5)
    numbers = one.counters()
    assert numbers["closed_handshake"] == 1
    assert numbers["handshakes_timed_out"] == numbers["connects"] == 0
    assert_serves(one)


ALERTS = {"close_notify": b"\x01\x00", "user_canceled": b"\x01\x5a", "a fatal one": b"\x02\x28"}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_after_the_hello_ends_the_connection(rig, backend, material, version, alert):
    """TLS 1.2 may go on after user_canceled; the others end the handshake without waiting for its timeout."""
    one = rig([backend(echo).address], material.server_context(), handshake_ms=60_000)
    client = one.tls_client(version)
    client.socket.settimeout(5)
    client.socket.sendall(flight_one(client))
    client.feed()
    client.socket.sendall(record(ALERT, ALERTS[alert], version=b"\x03\x03"))
    with contextlib.suppress(ConnectionError):
        if alert == "user_canceled":
            client.socket.shutdown(socket.SHUT_WR)
        while client.socket.recv(65536):
            pass
    client.close()
    one.wait_idle(5)
    assert one.counters()["closed_handshake"] == 1
    assert one.counters()["handshakes_timed_out"] == one.counters()["connects"] == 0


def test_records_of_no_length_are_no_way_to_stay(rig, backend, material):
    one = rig([backend(echo).address], material.server_context(), handshake_ms=500)
    for records in (1, 1000, 13_000):
        with one.connect() as client, contextlib.suppress(ConnectionError):
            client.sendall(record(HANDSHAKE, b"") * records)
            while client.recv(65536):
                pass
    one.wait_idle()
    assert one.counters()["closed_handshake"] == 3
    assert_serves(one)


@pytest.mark.parametrize("kind", ["ecdsa"], indirect=True)
def test_random_bytes(door):
    """Each of 200 has its own seed; half look like a record at first."""
    one = door()
    for seed in range(200):
        chance = random.Random(seed)  # noqa: S311 - to be repeatable is all that is asked of it
        body = chance.randbytes(chance.choice([1, 5, 6, 50, 500, 5000, 70_000]))
        with one.connect() as client, contextlib.suppress(ConnectionError):
            client.sendall(record(HANDSHAKE, body[:16_384]) if seed % 2 else body)
            fin(client)
    assert_only_failures(one, 200)


@pytest.mark.parametrize("kind", ["ecdsa"], indirect=True)
def test_a_hello_with_any_byte_changed(door, version):
    one = door()
    hello = flight_one(one.tls_client(version))
    places = cut_places(len(hello), 11)
    for place in places:
        changed = bytearray(hello)
        changed[place] ^= 0xFF
        with one.connect() as client, contextlib.suppress(ConnectionError):
            client.sendall(changed)
            fin(client)
    one.close_clients()
    assert_only_failures(one, len(places) + 1)


# --- unusual, and in order -----------------------------------------------------------------------------------------


def test_a_hello_in_records_of_one_byte_each(rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client(version)
    message = flight_one(client)[RECORD_HEADER:]
    client.socket.sendall(b"".join(record(HANDSHAKE, bytes([byte])) for byte in message))
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    client.close()


def test_a_hello_one_byte_at_a_time(rig, backend, material, version):
    """The first bytes each find the loop waiting again; the rest come as fast as they may."""
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client(version)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = flight_one(client)
    for place, byte in enumerate(hello):
        turns = one.counters()["turns"]
        client.socket.sendall(bytes([byte]))
        if place < 100:
            one.wait_for(turns=turns + 1)
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    client.close()


@pytest.mark.parametrize("size", [4_000, 15_000, 16_384, 17_000, 60_000])
def test_a_huge_hello_is_served(rig, backend, material, version, size):
    """Up to what TLS can say: a list of 64 KiB of protocols, in several records."""
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client(version)
    client.tls.set_alpn_protos([b"%0250d" % number for number in range(size // 251)])
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    client.close()


def test_a_hello_larger_than_tls_allows_is_refused(rig, backend, material):
    """131,396 bytes is the most a ClientHello can have; the refusal comes before the bytes are taken."""
    one = rig([backend(echo).address], material.server_context())
    with one.connect() as client, contextlib.suppress(ConnectionError):
        client.sendall(record(HANDSHAKE, b"\x01\x02\x01\x45\x03\x03" + b"r" * 16_000))
        while client.recv(65536):
            pass
    one.wait_idle()
    assert one.counters()["handshakes_failed"] == 1
    assert_serves(one)
