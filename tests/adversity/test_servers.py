"""Servers that fail in every way they can, behind TLS.

A client gets whatever its server managed to send, in order and whole, and then the truth about the end: close_notify
only for a stream the server ended, a reset for one it did not.  A server that fails does not cost a client that
another server can serve.
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from support.own_network import may_steer, own_network
from support.procs import free_port, wait_for, wait_steady
from support.rig import echo, held, receive_all
from support.tls_client import reset


def assert_no_clean_end(client):
    """The stream ends without close_notify; what came before is returned."""
    received = bytearray()
    with pytest.raises(ConnectionError):
        while data := client.receive():
            received += data
    return bytes(received)


# --- servers one cannot connect to ---------------------------------------------------------------------------------


def test_a_server_that_refuses_resets_the_client_after_its_handshake(rig, material, version):
    one = rig([("127.0.0.1", free_port())], material.server_context())
    client = one.tls_client(version)
    with contextlib.suppress(ConnectionError):  # TLS 1.3 clients finish first
        client.handshake()
    with contextlib.suppress(ConnectionError):
        client.send(b"question")
    assert assert_no_clean_end(client) == b""
    one.wait_idle()
    assert one.counters()["closed_refused"] == one.counters()["connects_failed"] == 1


@pytest.mark.skipif(bool(may_steer()), reason=may_steer())
def test_a_server_that_is_down_is_not_stood_in_for_by_the_socket_to_it(rig):
    """TCP connects a socket to itself when nobody listens on the port that the kernel gave it: the client would get
    its own bytes back, and the server could not start for as long as that lasts.
    """
    with own_network():
        one = rig([("127.0.0.1", 20002)])
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("20000 20003")
        for port in range(15000, 15008):
            near = ("127.0.0.1", port)
            with contextlib.suppress(ConnectionError), socket.create_connection(one.address, 10, near) as client:
                client.sendall(b"question")
                assert client.recv(8) == b""
        one.wait_idle()
        assert one.counters()["connects"] == 0
        with socket.create_server(("127.0.0.1", 20002)):
            pass


def test_refusing_and_black_hole_servers_are_passed_over(rig, backend, material, version, black_hole):
    servers = [("127.0.0.1", free_port()), black_hole, backend(echo).address]
    one = rig(servers, material.server_context(), connect_ms=200)
    for _ in range(3):
        client = one.tls_client(version).handshake()
        client.send(b"question")
        assert client.receive_exactly(8) == b"question"
        client.close()
    assert one.counters()["closed_refused"] == 0


def test_a_black_hole_connect_is_given_up_and_the_client_reset(rig, material, version, black_hole):
    one = rig([black_hole], material.server_context(), connect_ms=300)
    client = one.tls_client(version).handshake()
    client.send(b"question")
    assert assert_no_clean_end(client) == b""
    one.wait_idle()
    assert one.counters()["closed_refused"] == 1


def test_what_a_client_sends_meanwhile_waits_for_the_server(rig, backend, material, version, black_hole):
    """A megabyte while the first server hangs; the second gets all of it."""
    text = bytes(range(256)) * 4096
    received = []
    server = backend(lambda sock: received.append(receive_all(sock)))
    one = rig([black_hole, server.address], material.server_context(), connect_ms=500)
    client = one.tls_client(version).handshake()
    sending = threading.Thread(target=lambda: (client.send(text), client.end_stream()), daemon=True)
    sending.start()
    wait_for(lambda: received, "the second server to get it all")
    assert received == [text]
    sending.join(10)
    client.close()


def test_clients_that_leave_while_their_connect_hangs_are_let_go(rig, material, version, black_hole):
    one = rig([black_hole], material.server_context(), connect_ms=60_000)
    clients = [one.tls_client(version).handshake() for _ in range(20)]
    one.wait_for(handshakes=20)
    for client in clients:
        client.reset()
    one.wait_idle(5)
    assert one.counters()["closed_reset"] == 20


# --- servers that end at once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_a_byte", [False, True])
def test_a_server_that_accepts_and_ends_is_a_clean_end(rig, backend, material, version, after_a_byte):
    one = rig([backend(lambda sock: sock.recv(1) if after_a_byte else None).address], material.server_context())
    client = one.tls_client(version).handshake()
    if after_a_byte:
        client.send(b"x")
    assert client.receive() == b""
    client.end_stream()
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


@pytest.mark.parametrize("after_a_byte", [False, True])
def test_a_server_that_accepts_and_resets_is_no_clean_end(rig, backend, material, version, after_a_byte):
    def handler(sock):
        if after_a_byte:
            sock.recv(1)
        reset(sock)

    one = rig([backend(handler).address], material.server_context())
    client = one.tls_client(version)
    with contextlib.suppress(ConnectionError):
        client.handshake()
    with contextlib.suppress(ConnectionError):
        client.send(b"x")
    assert assert_no_clean_end(client) == b""
    client.close()
    one.wait_idle()
    numbers = one.counters()
    # A reset that is there before the connection was seen to be made is a server that refuses; not one after a byte.
    assert numbers["closed_reset"] + (0 if after_a_byte else numbers["closed_refused"]) == 1


def test_a_server_that_answers_before_it_is_asked(rig, backend, material, version):
    one = rig([backend(lambda sock: (sock.sendall(b"220 ready\r\n"), echo(sock))).address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_exactly(11) == b"220 ready\r\n"
    client.send(b"question")
    assert client.receive_exactly(8) == b"question"
    client.close()


# --- servers that end in the middle --------------------------------------------------------------------------------


def pour_for_ever(listener):
    while True:
        sock, _ = listener.accept()
        with contextlib.suppress(ConnectionError):
            while True:
                sock.sendall(bytes(65536))


@pytest.fixture
def doomed_server():
    """A server in a process of its own, that sends for ever until it is killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=pour_for_ever, args=(listener,), daemon=True)
    process.start()
    address = listener.getsockname()
    listener.close()
    yield process, address
    process.kill()
    process.join()


def test_a_server_killed_in_mid_download(rig, material, version, doomed_server):
    """The kernel ends a killed process's streams with FIN when it had read all, so what arrived is whole."""
    process, address = doomed_server
    one = rig([address], material.server_context())
    client = one.tls_client(version).handshake()
    client.receive_exactly(1_000_000)
    os.kill(process.pid, signal.SIGKILL)
    size = 1_000_000
    while data := client.receive():
        size += len(data)
    assert size == one.counters()["bytes_down"]
    client.end_stream()
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


def test_a_server_killed_in_mid_download_with_an_upload_unread(rig, material, version, doomed_server):
    """Then the kernel resets, and the client must not take what it has for the whole."""
    process, address = doomed_server
    one = rig([address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"nobody reads this")
    client.receive_exactly(1_000_000)
    one.wait_for(bytes_up=17)
    os.kill(process.pid, signal.SIGKILL)
    assert_no_clean_end(client)
    client.close()
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


@pytest.mark.parametrize("pause", [0, 3], ids=["reads at once", "reads later"])
def test_an_answer_to_an_upload_nobody_reads_arrives_whole(rig, backend, material, version, pause):
    """The server answers, ends and leaves without reading the upload, which resets it under the upload.

    The client may be slow: what waits for it in our socket is not thrown away because its server is gone.
    """
    size = 1_500_000

    def handler(sock):
        sock.recv(1)
        sock.sendall(b"413 " * (size // 4))
        sock.shutdown(socket.SHUT_WR)
        one.wait_for(bytes_down=size)

    one = rig([backend(handler).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"x")
    one.wait_for(bytes_down=size)
    with contextlib.suppress(ConnectionError):
        for _ in range(4):
            client.send(b"upload" * 1000)
    if pause:
        # Time must pass: this is about a deadline of the core that must not apply here.
        wait_steady(client.socket.fileno, "nothing at all", quiet=pause)
    assert client.receive_all() == b"413 " * (size // 4)
    client.close()
    one.wait_idle()


def test_a_server_that_stops_reading_and_then_reads_on(rig, backend, material, version):
    may_read = threading.Event()
    digests = []

    def handler(sock):
        sock.recv(1)
        may_read.wait(20)
        digests.append(hashlib.sha256(receive_all(sock)).digest())

    one = rig([backend(handler).address], material.server_context())
    client = one.tls_client(version).handshake()
    text = bytes(range(256)) * 80_000
    sending = threading.Thread(target=lambda: (client.send(b"x" + text), client.end_stream()), daemon=True)
    sending.start()
    wait_for(lambda: one.counters()["bytes_up"] > 100_000, "the upload to begin")
    wait_steady(lambda: one.counters()["turns"], "the upload")
    assert held(one.counters()) <= 3
    may_read.set()
    wait_for(lambda: digests, "the server to read it all")
    assert digests == [hashlib.sha256(text).digest()]
    sending.join(10)
    client.close()


def test_a_server_that_stops_reading_for_ever_is_ended_by_the_idle_timeout(rig, backend, material, version):
    leave = threading.Event()
    one = rig([backend(lambda sock: leave.wait(30)).address], material.server_context(), idle_ms=700)
    client = one.tls_client(version).handshake()

    def upload():
        with contextlib.suppress(OSError):
            while True:
                client.send(bytes(65536))

    sending = threading.Thread(target=upload, daemon=True)
    sending.start()
    one.wait_idle()
    leave.set()
    sending.join(10)
    assert not sending.is_alive()
    assert one.counters()["closed_idle"] == 1


def test_every_server_dies_and_comes_back(rig, backend, material, version):
    """The same address: first an echo, then nothing, then an echo again."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    one = rig([address], material.server_context())

    def ask():
        client = one.tls_client(version)
        with contextlib.closing(client), contextlib.suppress(ConnectionError):
            client.handshake()
            client.send(b"question")
            return client.receive_exactly(8)
        return b""

    def answer_once():
        sock, _ = listener.accept()
        with sock:
            echo(sock)

    answering = threading.Thread(target=answer_once, daemon=True)
    answering.start()
    assert ask() == b"question"
    answering.join(10)
    listener.close()
    assert ask() == b""
    listener = socket.create_server(address)
    answering = threading.Thread(target=answer_once, daemon=True)
    answering.start()
    assert ask() == b"question"
    answering.join(10)
    listener.close()
