"""A client that has completed its handshake owes us nothing: floods, broken records, ends in the wrong order.

Whatever it sends, its connection takes its share of the loop and no more, holds bounded memory, and ends with the
right account; what it sent whole before is passed on, what was broken is not, and its neighbours are served.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import random
import select
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest
from OpenSSL import SSL
from support.forge import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, Forger
from support.procs import wait_for, wait_steady
from support.rig import echo, receive_all
from support.tls_client import reset

RECORDS_PER_TURN = 1024  # no connection may have more of them handled while all others wait


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def version(request):
    return request.param


class Listener:
    """A server that notes all it receives and how the stream ended."""

    def __init__(self):
        self.received = bytearray()
        self.end = None

    def __call__(self, sock):
        try:
            while data := sock.recv(65536):
                self.received += data
            self.end = "end"
        except ConnectionResetError:
            self.end = "reset"

    def wait_end(self):
        return wait_for(lambda: self.end, "the server to see the end")


def forger(one, **options):
    client = Forger(one.address, **options)
    one.adopt(client.socket)
    client.handshake()
    return client


def sealed(client, parts):
    """The records a client would send for these parts, one each."""
    records = []
    for part in parts:
        client.tls.send(part)
        records.append(client.outgoing())
    return records


def assert_neighbours_are_served(one, version="TLSv1.3", times=1):
    for _ in range(times):
        client = one.tls_client(version).handshake()
        client.send(b"e" * 1000)
        assert client.receive_exactly(1000) == b"e" * 1000
        client.close()


def receive_to_the_end(client):
    """All plaintext until the connection ends, however it does."""
    received = bytearray()
    with contextlib.suppress(ConnectionError, SSL.Error):
        while data := client.receive():
            received += data
    return bytes(received)


# --- floods --------------------------------------------------------------------------------------------------------


def test_a_flood_of_one_byte_records_does_not_hold_the_loop(rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    text = random.Random(1).randbytes(20_000)  # noqa: S311 - to be repeatable is all that is asked of it
    client = one.tls_client(version).handshake()
    flood = b"".join(sealed(client, [bytes([byte]) for byte in text]))
    sending = threading.Thread(target=client.socket.sendall, args=(flood,), daemon=True)
    sending.start()
    assert_neighbours_are_served(one, version, times=20)
    sending.join(20)
    assert client.receive_exactly(len(text)) == text
    client.close()


def test_a_turn_takes_a_bounded_number_of_records(rig, backend, material, version):
    """What waits in the kernel when the turn begins is one budget's worth after another, others in between."""
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"x")
    one.wait_for(bytes_up=1)
    records = sealed(client, [b"y"] * 20_000)
    one.pause()
    # So much of them that the kernel takes no more for now; the engine stands still.
    client.socket.setblocking(False)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    flood = b"".join(records)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < len(flood):
            sent += client.socket.send(flood[sent:])
    whole = sent // len(records[0])
    turns = one.counters()["turns"]
    one.start()
    one.wait_for(bytes_up=whole)
    assert one.counters()["turns"] - turns >= whole // RECORDS_PER_TURN
    client.reset()


def test_empty_records_are_no_way_to_keep_the_loop_busy(rig, backend, material):
    """TLS 1.3 allows a record of padding alone; a stream of nothing else is refused."""
    one = rig([backend(echo).address], material.server_context())
    client = forger(one)
    client.socket.sendall(client.record(b"", padding=100) + client.record(b"hello"))
    assert client.receive_exactly(5) == b"hello"
    with contextlib.suppress(ConnectionError):
        client.socket.sendall(b"".join(client.record(b"", padding=50) for _ in range(20_000)))
    assert_neighbours_are_served(one)
    assert receive_to_the_end(client) == b""
    client.close()
    one.wait_idle()
    assert one.counters()["closed_tls"] == 1


def test_a_few_key_updates_are_answered(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = forger(one)
    for number in range(50):
        client.socket.sendall(client.key_update() + client.record(b"%04d" % number))
        assert client.receive_exactly(4) == b"%04d" % number
    client.close()


def test_a_flood_of_key_updates_is_ended(rig, backend, material):
    """Each costs us two derivations and an answer; a stream of nothing else serves nobody."""
    one = rig([backend(echo).address], material.server_context())
    client = forger(one, receive_buffer=4096, segment=536)
    client.socket.sendall(client.record(b"hello"))
    assert client.receive_exactly(5) == b"hello"
    flood = b"".join(client.key_update() for _ in range(20_000))
    with contextlib.suppress(ConnectionError):
        client.socket.sendall(flood)
    assert_neighbours_are_served(one)
    receive_to_the_end(client)
    client.close()
    one.wait_idle()
    assert one.counters()["closed_tls"] == 1


def test_a_flood_of_key_updates_is_ended_after_a_download_too(rig, backend, material):
    """A download changes how the connection is read, and must not change what it may cost."""
    one = rig([backend(lambda sock: (sock.sendall(b"d" * 4_000_000), echo(sock))).address], material.server_context())
    client = forger(one)
    assert client.receive_exactly(4_000_000) == b"d" * 4_000_000
    flood = b"".join(client.key_update() for _ in range(20_000))
    with contextlib.suppress(ConnectionError):
        client.socket.sendall(flood)
    one.wait_for(closed_tls=1)
    client.close()


def test_new_keys_in_front_of_much_data_are_no_flood(rig, backend, material):
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = forger(one)
    client.socket.sendall(client.key_update() + b"".join([client.record(b"d" * 16_000) for _ in range(40)]))
    wait_for(lambda: len(server.received) == 40 * 16_000, "the data to arrive")
    client.close()


def test_key_updates_between_single_bytes_are_spread_over_many_turns(rig, backend, material):
    """Each byte shows that the stream is no mere flood; it must not buy a thousand KeyUpdates a place in one turn."""
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = forger(one)
    updates = 500
    burst = [b"".join([client.key_update() for _ in range(updates)]) + client.record(b"x") for _ in range(6)]
    turns = one.counters()["turns"]
    client.socket.sendall(b"".join(burst))
    wait_for(lambda: server.received == b"x" * len(burst), "the bytes to arrive")
    records_a_turn = 4 * 64
    assert one.counters()["turns"] - turns >= updates * len(burst) // records_a_turn
    client.close()


def test_answers_to_key_updates_do_not_pile_up_for_a_client_that_does_not_read(rig, backend, material):
    """A byte of data between them makes them look useful, and still not more than so many are answered unread."""
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = forger(one, receive_buffer=4096, segment=536)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    updates = 40_000
    flood = b"".join(client.key_update() + client.record(b".") for _ in range(updates))
    sending = threading.Thread(target=lambda: _send_while_it_may(client.socket, flood), daemon=True)
    sending.start()
    passed_on = wait_steady(lambda: one.counters()["bytes_up"], "the flood", quiet=1.0, seconds=30)
    assert passed_on < updates
    turns = one.counters()["turns"]
    assert wait_steady(lambda: one.counters()["turns"], "the loop") <= turns + 1
    assert_neighbours_are_served_by(one, server)
    client.socket.shutdown(socket.SHUT_RDWR)  # wakes the sender, which a mere close would not
    sending.join(10)
    client.close()


def _send_while_it_may(sock, data):
    with contextlib.suppress(OSError):
        sock.sendall(data)


def assert_neighbours_are_served_by(one, listener):
    before = len(listener.received)
    client = one.tls_client().handshake()
    client.send(b"neighbour")
    wait_for(lambda: len(listener.received) >= before + 9, "the server to hear the neighbour")
    client.close()


def test_new_keys_may_be_asked_for_in_the_middle_of_a_download(rig, backend, material):
    """While a record of the download is half written, because the client does not read for a moment."""
    size = 6_000_000
    server = Listener()

    def handler(sock):
        sending = threading.Thread(target=sock.sendall, args=(b"d" * size,), daemon=True)
        sending.start()
        server(sock)
        sending.join(10)

    one = rig([backend(handler).address], material.server_context())
    client = forger(one, receive_buffer=16_384)
    client.receive_exactly(1_000_000)
    wait_steady(lambda: one.counters()["bytes_down"], "the download", quiet=0.1)
    # More than once: the second answer is where a half-written record gets into the library's way.
    for word in (b"still", b" there", b"?"):
        client.socket.sendall(client.key_update() + client.record(word))
        wait_for(lambda said=word: server.received.endswith(said), "the server to hear of it")
    assert client.receive_exactly(size - 1_000_000) == b"d" * (size - 1_000_000)
    client.socket.sendall(client.key_update() + client.record(b" yes"))
    wait_for(lambda: server.received == b"still there? yes", "the server to hear of it again")
    client.close()


def test_new_keys_may_be_asked_for_after_our_end_of_stream(rig, backend, material):
    """The answer can go nowhere any more, and that is no fault of the connection."""
    server = Listener()
    one = rig(
        [backend(lambda sock: (sock.shutdown(socket.SHUT_WR), server(sock))).address], material.server_context()
    )
    client = forger(one)
    assert client.receive() == b""
    for _ in range(5):
        client.socket.sendall(client.record(b"late ") + client.key_update())
    client.socket.sendall(client.record(b"end") + client.record(CLOSE_NOTIFY, ALERT))
    assert server.wait_end() == "end"
    assert server.received == b"late " * 5 + b"end"
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


# --- broken records ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_record_that_was_tampered_with_ends_the_stream_just_before_it(rig, backend, material, version, seed):
    chance = random.Random(seed)  # noqa: S311 - to be repeatable is all that is asked of it
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = one.tls_client(version).handshake()
    parts = [chance.randbytes(chance.choice([1, 100, 5000, 16_000])) for _ in range(20)]
    records = sealed(client, parts)
    bad = chance.randrange(len(records))
    spoiled = bytearray(records[bad])
    spoiled[chance.randrange(5, len(spoiled))] ^= 1 << chance.randrange(8)
    records[bad] = bytes(spoiled)
    with contextlib.suppress(ConnectionError):
        client.socket.sendall(b"".join(records))
    with pytest.raises(SSL.Error, match=r"(?i)bad record mac|decrypt|decryption failed"):
        client.receive()
    client.close()
    assert server.wait_end() == "reset"
    assert bytes(server.received) == b"".join(parts[:bad])
    one.wait_idle()
    assert one.counters()["closed_tls"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_record_cut_short_by_the_end_of_tcp_is_not_passed_on(rig, backend, material, version, seed):
    chance = random.Random(seed)  # noqa: S311 - to be repeatable is all that is asked of it
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = one.tls_client(version).handshake()
    whole, last = sealed(client, [b"whole", b"z" * 10_000])
    client.socket.sendall(whole + last[: chance.randrange(1, len(last))])
    client.socket.shutdown(socket.SHUT_WR)
    server.wait_end()
    assert server.received == b"whole"
    receive_to_the_end(client)
    client.close()


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 5000])
def test_a_reset_in_mid_record_resets_the_server(rig, backend, material, version, cut):
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = one.tls_client(version).handshake()
    whole, last = sealed(client, [b"whole", b"z" * 10_000])
    client.socket.sendall(whole + last[:cut])
    one.wait_for(bytes_up=5)
    client.reset()
    assert server.wait_end() == "reset"
    assert server.received == b"whole"
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (HANDSHAKE, b"\x01\x00\x00\x04abcd"),
        (HANDSHAKE, b"\x18\x00\x00\x01\x07"),
        (HANDSHAKE, b"\x14\x00\x00\x00"),
        (99, b"what is this"),
        (ALERT, b"\x02\x28"),
        (ALERT, b"\x01"),
        (DATA, b"d" * 16_385),
    ],
    ids=["hello", "key update of no kind", "finished", "unknown kind", "fatal alert", "half an alert", "too long"],
)
def test_a_sealed_record_that_makes_no_sense_ends_the_connection(rig, backend, material, kind, body):
    server = Listener()
    one = rig([backend(server).address], material.server_context())
    client = forger(one)
    client.socket.sendall(client.record(b"whole") + client.record(body, kind) + client.record(b"never"))
    assert receive_to_the_end(client) == b""
    client.close()
    server.wait_end()
    assert server.received == b"whole"
    one.wait_idle()
    assert one.counters()["closed_tls"] == 1


def test_garbage_after_a_download_has_changed_the_way_of_reading(rig, backend, material, version):
    one = rig([backend(lambda sock: (sock.sendall(b"d" * 4_000_000), echo(sock))).address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_exactly(4_000_000) == b"d" * 4_000_000
    client.send(b"still fine")
    assert client.receive_exactly(10) == b"still fine"
    client.socket.sendall(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
    with pytest.raises(SSL.Error):
        client.receive()
    client.close()
    one.wait_idle()
    assert one.counters()["closed_tls"] == 1


# --- renegotiation -------------------------------------------------------------------------------------------------


def test_renegotiation_is_refused_without_harm(rig, backend, material):
    """RFC 5746 lets a server say no; the old session goes on, and this client is the one to give up."""
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client("TLSv1.2").handshake()
    client.send(b"before")
    assert client.receive_exactly(6) == b"before"
    client.tls.renegotiate()
    with pytest.raises(SSL.Error, match=r"(?i)no.renegotiation"):
        while True:
            try:
                client.tls.do_handshake()
            except SSL.WantReadError:
                client.flush()
                client.feed()
    assert one.counters()["handshakes"] == 1
    assert_neighbours_are_served(one, "TLSv1.2")
    client.close()


def test_openssls_own_client_may_change_keys_but_not_renegotiate(rig, backend, material):
    """`K` asks for new keys both ways, `R` to renegotiate: commands of s_client, one in each read of its input."""
    one = rig([backend(echo).address], material.server_context())
    with s_client(one, "-tls1_3") as client:
        for word in (b"one\n", b"two\n", b"three\n"):
            say(client, b"K\n")
            assert ask(client, word) == word
    with s_client(one, "-tls1_2") as client:
        assert ask(client, b"word\n") == b"word\n"
        say(client, b"R\n")
        assert client.wait(15) != 0
    assert_neighbours_are_served(one)


@contextlib.contextmanager
def s_client(one, *options):
    client = subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-no_ign_eof", "-connect", f"127.0.0.1:{one.port}", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield client
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()


def say(client, line):
    """A command in a read of its own: the pipe must be empty again before the next."""
    client.stdin.write(line)
    client.stdin.flush()
    wait_for(lambda: not unread(client.stdin.fileno()), "openssl to read its input")


def unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def ask(client, line):
    say(client, line)
    ready, _, _ = select.select([client.stdout], [], [], 15)
    assert ready, "openssl printed nothing"
    return client.stdout.readline()


# --- ends in the wrong order ---------------------------------------------------------------------------------------


def answer_after_the_end(size):
    def handler(sock):
        digest = hashlib.sha256(receive_all(sock)).digest()
        sock.sendall(digest * (size // 32))

    return handler


@pytest.mark.parametrize("size", [32, 3_200_000])
def test_what_follows_close_notify_is_ignored(rig, backend, material, version, size):
    """RFC 8446 section 6.1.  The answer must arrive whole although nobody reads what came after the end."""
    one = rig([backend(answer_after_the_end(size)).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"question")
    client.end_stream()
    client.socket.sendall(b"\x17\x03\x03\x10\x00" + b"j" * 4096 + b"junk" * 50_000)
    assert client.receive_all() == hashlib.sha256(b"question").digest() * (size // 32)
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


def test_sealed_data_after_close_notify_is_ignored(rig, backend, material):
    one = rig([backend(answer_after_the_end(3_200_000)).address], material.server_context())
    client = forger(one)
    client.socket.sendall(client.record(b"question") + client.record(CLOSE_NOTIFY, ALERT) + client.record(b"more"))
    assert client.receive_all() == hashlib.sha256(b"question").digest() * 100_000
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


def send_until_reset(client):
    """Our side discards for a while, so that its last bytes are not overtaken; it must not do so for ever."""
    deadline = time.monotonic() + 10
    with pytest.raises(ConnectionError):
        while time.monotonic() < deadline:
            client.send(b"late " * 1000)


def test_data_after_our_close_notify_reaches_a_server_that_still_listens(rig, backend, material, version):
    server = Listener()
    one = rig(
        [backend(lambda sock: (sock.shutdown(socket.SHUT_WR), server(sock))).address], material.server_context()
    )
    client = one.tls_client(version).handshake()
    assert client.receive_all() == b""
    for _ in range(50):
        client.send(b"late " * 1000)
    client.end_stream()
    assert server.wait_end() == "end"
    assert server.received == b"late " * 50_000
    client.close()


def test_data_after_our_close_notify_to_a_server_that_is_gone_ends_the_connection(rig, backend, material, version):
    """The client goes on sending for ever; what it is owed is its own end, and what we are owed is our descriptor."""
    one = rig([backend(lambda sock: sock.sendall(b"bye")).address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_all() == b"bye"
    send_until_reset(client)
    client.close()
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


def test_a_client_that_ends_its_stream_and_keeps_tcp_open_is_not_waited_for(rig, backend, material, version):
    one = rig([backend(answer_after_the_end(3200)).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.end_stream()
    assert len(client.receive_all()) == 3200
    one.wait_idle(5)
    assert one.counters()["closed_clean"] == 1
    client.close()


def test_a_server_that_ends_its_stream_and_then_resets(rig, backend, material, version):
    """The client has its clean end already; the reset ends what it still sends."""
    may_reset = threading.Event()

    def handler(sock):
        sock.sendall(b"answer")
        sock.shutdown(socket.SHUT_WR)
        may_reset.wait(10)
        reset(sock)

    one = rig([backend(handler).address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_all() == b"answer"
    may_reset.set()
    send_until_reset(client)
    client.close()
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


@pytest.mark.parametrize("traffic", [0, 100_000])
def test_both_sides_reset_at_once(rig, backend, material, version, traffic):
    """The loop finds both resets in one turn, in either order of their events."""
    socks = []

    def handler(sock):
        sock.sendall(b"d" * traffic)
        socks.append(sock.dup())
        sock.recv(1)
        echo(sock)

    one = rig([backend(handler).address], material.server_context())
    clients = [one.tls_client(version).handshake() for _ in range(20)]
    for client in clients:
        client.send(b"x")
        client.receive_exactly(traffic)
    wait_for(lambda: len(socks) == 20, "every server to be connected")
    one.pause()
    for number, client in enumerate(clients):
        # The handler still has its own descriptor, so the reset is one of the peer's, not a close.
        for end in ([client.reset, lambda n=number: disconnect(socks[n])])[:: 1 if number % 2 else -1]:
            end()
    one.start()
    one.wait_idle()
    assert one.counters()["closed_reset"] == 20
    for sock in socks:
        sock.close()


def disconnect(sock):
    """RST although another descriptor is open: connect(AF_UNSPEC) on TCP."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.connect(sock.fileno(), bytes(16), 16) == 0, ctypes.get_errno()


def test_half_of_the_clients_reset_in_mid_download(rig, backend, material, version):
    """Nothing of a download is anyone else's: those that stay get all of theirs."""
    size = 1_000_000
    one = rig([backend(lambda sock: sock.sendall(sock.recv(1) * size)).address], material.server_context())
    clients = [one.tls_client(version).handshake() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(bytes([number]))
    for client in clients[::2]:
        client.receive_exactly(1000)
        client.reset()
    for number, client in list(enumerate(clients))[1::2]:
        assert client.receive_all() == bytes([number]) * size
        client.close()
    started = time.monotonic()
    one.wait_idle()
    assert time.monotonic() - started < 5
