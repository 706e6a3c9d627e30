"""Floods of cheap records after the handshake: each takes its share of the loop and of memory, and no more."""

import contextlib
import random
import socket
import threading

from support.forge import ALERT, CLOSE_NOTIFY
from support.hostile import Listener, assert_neighbours_are_served, forger, receive_to_the_end, sealed
from support.procs import wait_for, wait_steady
from support.rig import echo

RECORDS_PER_TURN = 1024  # no connection may have more of them handled while all others wait


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
    # A look at what it could give back, and one when keepalive begins; nothing else is due.
    assert wait_steady(lambda: one.counters()["turns"], "the loop", quiet=1.5) <= turns + 2
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
