"""Servers behind unix sockets: whole streams, ends and resets as far as there are any, and those that take nobody."""

import contextlib
import hashlib
import socket
import threading

import pytest
from support.procs import wait_for
from support.proxy_header import read_header
from support.rig import echo, held, receive_all
from support.tls_client import reset

from fastnlb._core.engine import Engine
from fastnlb.board import Board

SIZE = 3_000_000
TEXT = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def board():
    return Board.create(workers=1)


@pytest.fixture
def place(tmp_path):
    return f"unix:{tmp_path}/app.sock"


def ask(sock, data=b"hello"):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    with sock:
        return receive_all(sock)


def pour(client, text):
    """Send and end beside what is read meanwhile."""

    def send():
        with contextlib.suppress(ConnectionError):
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_bytes_and_ends_go_through_both_ways(rig, backend, place):
    one = rig([backend(echo, host=place).address])
    client = one.connect()
    sending = pour(client, TEXT)
    assert receive_all(client) == TEXT
    sending.join(10)
    one.wait_idle()
    numbers = one.counters()
    assert numbers["bytes_up"] == numbers["bytes_down"] == len(TEXT)
    assert numbers["closed_clean"] == 1


def test_the_path_may_be_as_long_as_the_system_has_room(rig, backend, tmp_path):
    path = str(tmp_path / "x")
    path += "x" * (107 - len(path))
    one = rig([backend(echo, host=f"unix:{path}").address])
    assert ask(one.connect()) == b"hello"


def test_a_longer_path_is_no_address():
    engine = Engine(None)
    with pytest.raises(ValueError, match="has 108 bytes, and 107 at most"):
        engine.prepare(1, [], [(0, [("unix:/" + "x" * 107, 0, 1, -1)], [0], -1, False)], {})
    engine.close()


def test_the_answer_may_go_on_after_the_end_of_the_request(rig, backend, place):
    one = rig([backend(lambda sock: sock.sendall(receive_all(sock)[::-1]), host=place).address])
    assert ask(one.connect(), TEXT[:200_000]) == TEXT[:200_000][::-1]


def test_the_request_may_go_on_after_the_end_of_the_answer(rig, backend, place):
    received = []

    def handler(sock):
        sock.sendall(b"220")
        sock.shutdown(socket.SHUT_WR)
        received.append(receive_all(sock))

    one = rig([backend(handler, host=place).address])
    client = one.connect()
    assert receive_all(client) == b"220"
    pour(client, TEXT).join(10)
    wait_for(lambda: received, "the server to read it all")
    assert received == [TEXT]


def test_tls_in_front_and_a_slow_server_behind(rig, backend, material, version, place):
    go_on = threading.Event()
    digests = []

    def handler(sock):
        go_on.wait(20)
        digests.append(hashlib.sha256(receive_all(sock)).digest())
        sock.sendall(TEXT)

    one = rig([backend(handler, host=place).address], material.server_context())
    client = one.tls_client(version).handshake()
    sending = threading.Thread(target=lambda: (client.send(TEXT), client.end_stream()), daemon=True)
    sending.start()
    one.wait_for(bytes_up=100_000)
    assert held(one.counters()) <= 3
    go_on.set()
    assert client.receive_all() == TEXT
    sending.join(10)
    assert digests == [hashlib.sha256(TEXT).digest()]
    client.close()


# --- ends that are none ---------------------------------------------------------------------------------------------


def test_a_server_that_leaves_unread_bytes_resets_the_client_after_what_it_sent(rig, backend, place):
    def handler(sock):
        sock.recv(1)
        sock.sendall(b"413 too large")

    one = rig([backend(handler, host=place).address])
    with one.connect() as client:
        client.sendall(b"xy")
        assert client.recv(100) == b"413 too large"
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


def test_a_reset_of_the_client_is_the_end_of_the_stream_to_the_server(rig, backend, place):
    """A unix socket knows no reset."""
    received = []
    one = rig([backend(lambda sock: received.append(receive_all(sock)), host=place).address])
    client = one.connect()
    client.sendall(b"half of it")
    one.wait_for(bytes_up=10)
    reset(client)
    wait_for(lambda: received, "the server to see the end")
    assert received == [b"half of it"]
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


def test_a_client_that_leaves_a_server_that_is_stuck_in_sending(rig, backend, place):
    gone = []

    def handler(sock):
        try:
            while True:
                sock.sendall(bytes(65536))
        except ConnectionError as error:
            gone.append(type(error))

    one = rig([backend(handler, host=place).address])
    client = one.connect()
    client.recv(1000)
    reset(client)
    wait_for(lambda: gone, "the server to be told")
    one.wait_idle()


# --- servers that take nobody ---------------------------------------------------------------------------------------


@pytest.fixture
def nobody(tmp_path):
    """unix:/path without a file, with a file and no listener, and with a queue that is full."""
    stale, full = tmp_path / "stale.sock", tmp_path / "full.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(stale))
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(full))
        listener.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(full))
        yield [(f"unix:{path}", 0) for path in (tmp_path / "none.sock", stale, full)]


def test_they_are_passed_over_at_once(board, rig, backend, place, nobody):
    one = rig([*nobody, backend(echo, host=place).address], board=(board.address(), board.places, 0))
    for _ in range(4):
        assert ask(one.connect()) == b"hello"
    assert one.counters()["connects_failed"] == 6  # the first choice goes round: 3, 2, 1 and 0 before the good one
    assert all(board.failures(cell) for cell in (0, 1, 2))
    assert board.failures(3) == 0


def test_with_none_left_the_client_is_reset(rig, nobody):
    one = rig(nobody)
    with pytest.raises(ConnectionResetError):
        one.connect().recv(1)
    one.wait_idle()
    assert one.counters()["closed_refused"] == 1


def test_a_server_that_leaves_with_a_connection_in_its_queue_ends_it(rig, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "app.sock"))
    listener.listen(8)
    one = rig([(f"unix:{tmp_path}/app.sock", 0)])
    client = one.connect()
    client.sendall(b"question")
    one.wait_for(bytes_up=8)
    listener.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_the_proxy_header_names_client_and_listener(rig, backend, place):
    headers = []

    def handler(sock):
        headers.append(read_header(sock))
        echo(sock)

    one = rig([backend(handler, host=place).address], proxy=((8, b""), []))
    client = one.connect()
    name = client.getsockname()
    assert ask(client) == b"hello"
    assert (headers[0].source, headers[0].target) == (name, one.address)
