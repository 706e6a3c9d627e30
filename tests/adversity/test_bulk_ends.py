"""How bulk that goes through pipes ends: nothing that was taken from one side is lost on its way to the other."""

import hashlib
import socket
import threading
import time

from support.bulk import BLOCK, digest_of, pour, swallow, swallow_to_the_end, wait_stuck
from support.procs import wait_for
from support.rig import echo
from support.tls_client import reset

from fastnlb._core.defs import StopReason

MIB = 1 << 20
SIZE = 60 * MIB
ENDLESS = 4000 * MIB
BEGIN = 8 * MIB  # after so much a flow goes through pipes


def small_window_client(one):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    sock.settimeout(20)
    sock.connect(one.address)
    one.adopt(sock)
    return sock


class SlowServer:
    """Reads BEGIN bytes of an upload, and the rest when told: how many they were, their digest, whether reset."""

    def __init__(self):
        self.may_read = threading.Event()
        self.seen = []

    def __call__(self, sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        found = hashlib.sha256()
        left = BEGIN
        while left:
            data = sock.recv(min(left, 65536))
            found.update(data)
            left -= len(data)
        self.may_read.wait(30)
        self.seen.append((found.digest(), *swallow_to_the_end(sock)))


def digest_between(start, end):
    text = hashlib.sha256()
    while start < end:
        at = start % len(BLOCK)
        piece = BLOCK[at : at + end - start]
        text.update(piece)
        start += len(piece)
    return text.digest()


def pour_endlessly(sock):
    pour(sock, ENDLESS)


def test_the_end_of_a_download_follows_its_last_byte_and_the_upload_goes_on(rig, backend):
    heard = []

    def serve(sock):
        pour(sock, SIZE)
        sock.shutdown(socket.SHUT_WR)
        heard.append(sock.recv(100))

    one = rig([backend(serve).address])
    client = small_window_client(one)
    swallow(client, BEGIN)
    wait_stuck(one)
    size, digest, was_reset = swallow_to_the_end(client)
    assert (size, digest, was_reset) == (SIZE - BEGIN, digest_between(BEGIN, SIZE), False)
    client.sendall(b"thank you")
    wait_for(lambda: heard == [b"thank you"], "the server to hear")
    client.close()
    one.wait_nothing_held()
    assert one.counters()["bytes_spliced"] > 0
    assert one.counters()["closed_clean"] == 1


def test_the_end_of_an_upload_follows_its_last_byte_and_the_answer_comes_back(rig, backend):
    server = SlowServer()

    def serve(sock):
        server(sock)
        sock.sendall(b"got it")

    one = rig([backend(serve).address])
    client = one.connect()
    sending = threading.Thread(target=lambda: (pour(client, SIZE), client.shutdown(socket.SHUT_WR)), daemon=True)
    sending.start()
    wait_stuck(one)
    server.may_read.set()
    assert client.recv(100) == b"got it"
    assert server.seen == [(digest_of(BEGIN), SIZE - BEGIN, digest_between(BEGIN, SIZE), False)]
    sending.join(10)
    client.close()
    one.wait_nothing_held()
    assert one.counters()["bytes_spliced"] > 0


def test_what_a_server_sent_before_its_reset_comes_before_the_reset(rig, backend):
    stuck = threading.Event()

    def serve(sock):
        sock.settimeout(0.0)
        try:
            while not stuck.is_set():
                try:
                    sock.send(BLOCK[:65536])
                except BlockingIOError:
                    stuck.wait(0.01)
        finally:
            reset(sock)

    one = rig([backend(serve).address])
    client = small_window_client(one)
    swallow(client, BEGIN)
    wait_stuck(one)
    before = one.counters()["bytes_down"]
    stuck.set()
    size, _, was_reset = swallow_to_the_end(client)
    assert was_reset
    assert BEGIN + size > before, "what was in the pipe arrived"
    one.wait_nothing_held()
    assert one.counters()["bytes_down"] == BEGIN + size
    assert one.counters()["closed_reset"] == 1


def test_what_a_client_sent_before_its_reset_comes_before_the_reset(rig, backend):
    server = SlowServer()
    one = rig([backend(server).address])
    client = one.connect()
    client.setblocking(False)

    def stuffed():
        try:
            client.send(BLOCK[:65536])
        except BlockingIOError:
            return one.counters()["pipes_lent"] == 1
        return False

    wait_for(stuffed, "the client to be stuck")
    wait_stuck(one)
    before = one.counters()["bytes_up"]
    reset(client)
    server.may_read.set()
    wait_for(lambda: server.seen, "the server to see the end")
    _, size, _, was_reset = server.seen[0]
    assert was_reset
    assert BEGIN + size > before
    one.wait_nothing_held()
    assert one.counters()["bytes_up"] == BEGIN + size


def test_a_client_that_resets_in_the_middle_takes_its_full_pipe_with_it(rig, backend):
    one = rig([backend(pour_endlessly).address])
    clients = [small_window_client(one) for _ in range(5)]
    for client in clients:
        swallow(client, BEGIN)
    wait_stuck(one, pipes=5)
    for client in clients:
        reset(client)
    one.wait_nothing_held()
    assert one.counters()["pipes_made"] == 0, "none of them was empty"
    assert one.counters()["closed_reset"] == 5


def test_an_idle_connection_is_closed_with_its_pipe_full(rig, backend):
    one = rig([backend(pour_endlessly).address], idle_ms=700)
    client = small_window_client(one)
    swallow(client, BEGIN)
    wait_stuck(one)
    one.wait_for(closed_idle=1)
    one.wait_nothing_held()
    assert one.counters()["pipes_made"] == 0
    size, digest, _ = swallow_to_the_end(client)
    assert digest == digest_between(BEGIN, BEGIN + size)


def test_bytes_through_a_pipe_keep_a_connection(rig, backend):
    one = rig([backend(pour_endlessly).address], idle_ms=500)
    client = small_window_client(one)
    for _ in range(10):
        swallow(client, BEGIN // 4)
        time.sleep(0.1)  # the passing of time is what this test is about
    assert one.counters()["closed_idle"] == 0
    assert one.counters()["bytes_spliced"] > 0
    reset(client)


def test_at_the_deadline_of_a_drain_what_is_in_the_pipe_arrives(rig, backend):
    one = rig([backend(pour_endlessly).address])
    client = small_window_client(one)
    swallow(client, BEGIN)
    wait_stuck(one)
    before = one.counters()["bytes_down"]
    with one.paused() as engine:
        engine.drain(0)
    size, digest, was_reset = swallow_to_the_end(client)
    assert not was_reset
    assert BEGIN + size > before
    assert digest == digest_between(BEGIN, BEGIN + size)
    wait_for(lambda: one.stop_reasons[-1] == StopReason.STOP_DRAINED, "the drain to end")
    assert one.counters()["bytes_down"] == BEGIN + size
    assert one.counters()["closed_shutdown"] == 1


def test_urgent_data_in_the_middle_of_bulk_is_passed_over(rig, backend):
    """As without pipes: the urgent byte is dropped, what is around it arrives.

    One at a time: of two that a socket has not read yet, the kernel makes the first an ordinary byte.
    """
    one = rig([backend(echo).address])
    client = one.connect()
    for _ in range(4):
        sending = threading.Thread(
            target=lambda: (pour(client, SIZE), client.send(b"!", socket.MSG_OOB), pour(client, BEGIN)), daemon=True
        )
        sending.start()
        assert swallow(client, SIZE) == digest_of(SIZE)
        assert swallow(client, BEGIN) == digest_of(BEGIN)
        sending.join(10)
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert one.counters()["bytes_up"] == 4 * (SIZE + BEGIN)
    assert one.counters()["bytes_spliced"] > 0
