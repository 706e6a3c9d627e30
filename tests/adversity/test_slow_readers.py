"""Back-pressure: who does not read stops who sends, and nothing else.

Whatever one side may send for ever, a connection whose other side does not read takes a bounded amount of it,
holds at most three buffers or pipes, and costs no turn of the event loop; its neighbours do not notice.  When the
reader goes on, not a byte is missing.
"""

import contextlib
import hashlib
import threading
from pathlib import Path

import pytest
from fastnlb._core._testing import MOST_LARGE
from support.clients import TRANSPORTS, of_rig
from support.procs import wait_for, wait_steady
from support.rig import echo, held

BLOCK = bytes(range(256)) * 256
SMALL_WINDOW = 32_768
MOST_BUFFERS = 3  # bytes in flight each way, and ciphertext not yet decrypted
MOST_HELD = 2 << 20  # a pipe's worth each way


def most_in_sockets():
    """What the kernel can hold between a source and a reader that never reads: two sockets each side of us."""
    return sum(
        2 * int(Path(f"/proc/sys/net/ipv4/{name}").read_text("ascii").split()[2]) for name in ("tcp_rmem", "tcp_wmem")
    )


class Source:
    """Sends blocks for ever: how much the other end took, and its hash."""

    def __init__(self):
        self.taken = 0
        self.digest = hashlib.sha256()
        self.enough = threading.Event()

    def pour(self, send):
        while not self.enough.is_set():
            sent = send(BLOCK)
            sent = len(BLOCK) if sent is None else sent
            self.digest.update(BLOCK[:sent])
            self.taken += sent


class Sink:
    """Reads nothing until told, then all of it."""

    def __init__(self):
        self.may_read = threading.Event()
        self.ended = threading.Event()
        self.digest = hashlib.sha256()

    def swallow(self, sock):
        self.may_read.wait(30)
        while data := sock.recv(65536):
            self.digest.update(data)
        self.ended.set()


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


def context_for(transport, material):
    return None if transport == "plain" else material.server_context()


def behaving(**behaviours):
    """A server that lets the first byte a client sends choose what it does."""

    def handler(sock):
        behaviours[sock.recv(1).decode()](sock)

    return handler


def wait_quiet(one, source):
    """Until nothing is taken and the loop has stopped turning; both are demanded again of a second look."""

    def look():
        return source.taken, one.counters()["turns"]

    quiet = wait_steady(look, "bytes taken and turns of the loop")
    assert look() == quiet
    return quiet


def assert_neighbours_are_served(one, transport):
    neighbour = of_rig(one, transport)
    neighbour.send(b"e" + BLOCK)
    assert neighbour.receive_exactly(len(BLOCK)) == BLOCK
    neighbour.close()


def test_a_client_that_does_not_read_stops_the_server(rig, backend, material, transport):
    source = Source()
    one = rig(
        [backend(behaving(s=lambda sock: source.pour(sock.send), e=echo)).address], context_for(transport, material)
    )
    client = of_rig(one, transport, receive_buffer=SMALL_WINDOW)
    client.send(b"s")
    wait_for(lambda: source.taken, "the server to send")
    taken, _ = wait_quiet(one, source)
    assert taken < most_in_sockets() + MOST_HELD
    assert 1 <= held(one.counters()) <= MOST_BUFFERS

    assert_neighbours_are_served(one, transport)
    wait_for(lambda: one.counters()["connections"] == 1, "the neighbour to leave")
    assert wait_quiet(one, source)[0] == taken

    source.enough.set()
    received = hashlib.sha256()
    while data := client.receive():
        received.update(data)
    assert received.digest() == source.digest.digest()
    assert one.counters()["bytes_down"] == source.taken + len(BLOCK)


def test_a_server_that_does_not_read_stops_the_client(rig, backend, material, transport):
    source, sink = Source(), Sink()
    one = rig([backend(behaving(s=sink.swallow, e=echo)).address], context_for(transport, material))
    client = of_rig(one, transport)
    client.send(b"s")
    pouring = threading.Thread(target=lambda: (source.pour(client.send), client.end_stream()), daemon=True)
    pouring.start()
    wait_for(lambda: source.taken, "the client to send")
    taken, _ = wait_quiet(one, source)
    assert taken < most_in_sockets() + MOST_HELD
    assert 1 <= held(one.counters()) <= MOST_BUFFERS

    assert_neighbours_are_served(one, transport)
    wait_for(lambda: one.counters()["connections"] == 1, "the neighbour to leave")
    assert wait_quiet(one, source)[0] == taken

    source.enough.set()
    sink.may_read.set()
    pouring.join(20)
    assert sink.ended.wait(20)
    assert sink.digest.digest() == source.digest.digest()
    client.close()


def test_both_sides_may_be_deaf_at_once(rig, backend, material, transport):
    """Each direction is full and waits for its own reader; neither reader's return depends on the other's."""
    down, up, sink = Source(), Source(), Sink()

    def serve(sock):
        pouring = threading.Thread(target=down.pour, args=(sock.send,), daemon=True)
        pouring.start()
        sink.may_read.wait(30)
        while data := sock.recv(65536):
            sink.digest.update(data)
        pouring.join(20)
        sink.ended.set()

    one = rig([backend(serve).address], context_for(transport, material))
    client = of_rig(one, transport, receive_buffer=SMALL_WINDOW)
    uploading = threading.Thread(target=lambda: up.pour(client.send), daemon=True)
    uploading.start()
    wait_for(lambda: down.taken and up.taken, "both to send")
    wait_steady(lambda: (down.taken, up.taken, one.counters()["turns"]), "a connection full both ways")
    assert held(one.counters()) <= MOST_BUFFERS

    # The upload goes on although the client still does not read.
    before = up.taken
    sink.may_read.set()
    wait_for(lambda: up.taken > before + 10 * len(BLOCK), "the upload to go on")
    up.enough.set()
    down.enough.set()
    uploading.join(20)
    client.end_stream()
    received = hashlib.sha256()
    while data := client.receive():
        received.update(data)
    assert sink.ended.wait(20)
    assert received.digest() == down.digest.digest()
    assert sink.digest.digest() == up.digest.digest()
    client.close()


def test_a_hundred_slow_readers_hold_bounded_memory_and_give_it_back(rig, backend, material, transport):
    sources = []

    def serve(sock):
        sources.append(source := Source())
        source.pour(sock.send)

    one = rig([backend(serve).address], context_for(transport, material))
    clients = [of_rig(one, transport, receive_buffer=SMALL_WINDOW) for _ in range(100)]
    wait_for(lambda: len(sources) == 100 and all(source.taken for source in sources), "every server to send")
    wait_steady(lambda: [source.taken for source in sources] + [one.counters()["turns"]], "every server")
    spare = one.counters()["buffers_made"] - one.counters()["buffers_lent"]
    assert 100 <= held(one.counters()) <= 100 * MOST_BUFFERS
    assert spare <= 64
    assert one.counters()["large_buffers_lent"] <= MOST_LARGE

    for source in sources:
        source.enough.set()
    received = []
    for client in clients[:50]:
        digest = hashlib.sha256()
        while data := client.receive():
            digest.update(data)
        received.append(digest.digest())
        client.close()
    for client in clients[50:]:
        client.reset()
    one.wait_nothing_held()
    assert set(received) <= {source.digest.digest() for source in sources}
    assert len(received) == 50
    assert one.counters()["buffers_made"] <= 64
    assert one.counters()["large_buffers_made"] <= 4
    assert one.counters()["pipes_made"] <= 64


def test_a_reader_of_one_byte_at_a_time_gets_them_all(rig, backend, material, transport):
    text = BLOCK[:20_000]
    one = rig([backend(lambda sock: sock.sendall(text)).address], context_for(transport, material))
    client = of_rig(one, transport, receive_buffer=4096)
    received = bytearray()
    with contextlib.closing(client):
        while data := client.receive(1):
            received += data
    assert received == text
