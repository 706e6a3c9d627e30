"""A client that has completed its handshake owes us nothing: broken records, ends in the wrong order.

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
from support.forge import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE
from support.hostile import Listener, assert_neighbours_are_served, forger, receive_to_the_end, sealed
from support.procs import wait_for
from support.rig import echo, receive_all
from support.tls_client import reset

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
    one.wait_idle()
