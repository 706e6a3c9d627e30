"""How connections end when luck is bad: both sides stuck, the process draining, urgent data in the way."""

import socket
import threading

import pytest
from support.procs import wait_for, wait_steady
from support.rig import echo
from support.tls_client import reset

from fastnlb._core.defs import StopReason


def small_window_client(one):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(one.address)
    one.adopt(sock)
    return sock


def settled(one):
    """Until nothing moves any more."""
    return wait_steady(lambda: (one.counters()["bytes_up"], one.counters()["bytes_down"]), "the bytes", quiet=0.1)


def test_what_follows_urgent_data_is_not_left_lying(rig, backend):
    """A read stops at the urgent mark, and no further event would say that there is more behind it."""
    one = rig([backend(echo).address])
    client = one.connect()
    client.sendall(b"first")
    assert client.recv(5) == b"first"
    one.pause()
    client.sendall(b"abc")
    client.send(b"!", socket.MSG_OOB)
    client.sendall(b"efg")
    one.start()
    got = b""
    while len(got) < 6:
        got += client.recv(6)
    assert got == b"abcefg"


def test_a_reset_reaches_a_server_when_both_directions_are_stuck(rig, backend):
    """The server is blocked in writing, so it would never read what is still held for it."""
    told = threading.Event()

    def write_then_read(sock):
        sock.sendall(b"s" * 50_000_000)
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            told.set()

    one = rig([backend(write_then_read).address])
    client = one.connect()
    client.setblocking(False)

    def stuffed():
        try:
            client.send(b"u" * 65536)
        except BlockingIOError:
            return True
        return False

    wait_for(stuffed, "the client to be stuck")
    settled(one)
    reset(client)
    one.wait_idle()
    assert told.wait(10)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_at_the_deadline_of_a_drain_a_download_ends_with_close_notify(rig, backend, material, version):
    """Although a record was half written when the deadline came."""
    one = rig([backend(lambda sock: sock.sendall(b"z" * 50_000_000)).address], material.server_context())
    client = one.tls_client(version, receive_buffer=16_384).handshake()
    got = len(client.receive_exactly(1_000_000))
    settled(one)
    with one.paused() as engine:
        engine.drain(0)
    wait_for(lambda: one.counters()["timers"] == 1, "the loop to turn")
    while data := client.receive():
        got += len(data)
    assert 1_000_000 < got < 50_000_000
    client.close()
    one.wait_idle()
    assert one.counters()["closed_shutdown"] == 1


def test_the_deadline_of_a_drain_leaves_alone_what_is_ending_already(rig, backend):
    """The server has reset; what it sent before is on its way to a slow client."""
    size = 300_000
    sent = threading.Event()

    def send_and_reset(sock):
        sock.recv(1)
        sock.sendall(b"d" * size)
        sent.wait(10)
        reset(sock)

    one = rig([backend(send_and_reset).address])
    client = small_window_client(one)
    client.sendall(b"x")
    one.wait_for(bytes_down=size)
    sent.set()
    wait_for(lambda: one.counters()["descriptors"] == 1, "the server's half to go")
    with one.paused() as engine:
        engine.drain(0)
    got = 0
    with pytest.raises(ConnectionResetError):
        while data := client.recv(65536):
            got += len(data)
    assert got == size
    wait_for(lambda: one.stop_reasons[-1] == StopReason.STOP_DRAINED, "the drain to end")
    assert one.counters()["closed_shutdown"] == 0


def test_a_drain_without_connections_ends_at_once(rig, backend):
    one = rig([backend(echo).address])
    one.connect().close()
    one.wait_for(accepted=1)
    one.wait_idle()
    with one.paused() as engine:
        engine.drain(3600)
    wait_for(lambda: one.stop_reasons[-1] == StopReason.STOP_DRAINED, "the drain to end")
