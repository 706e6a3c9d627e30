"""The origin's nine-byte commands, from clients that are slow, hasty, half closed or wrong."""

import re
import signal
import socket
import threading
from contextlib import suppress

import pytest
from support.procs import PATIENCE, program, taken_port

pytest.importorskip("bench._load", reason="the load generator is not built (FASTNLB_BENCH=1)")

MIB = 1 << 20
FOR_EVER = 1 << 62


def command(kind, length):
    return kind + length.to_bytes(8)


@pytest.fixture
def client(origin_port):
    with socket.create_connection(("127.0.0.1", origin_port), timeout=PATIENCE) as sock:
        yield sock


def read(sock, length):
    data = b""
    while len(data) < length:
        some = sock.recv(length - len(data))
        assert some, f"the end after {len(data)} of {length} bytes"
        data += some
    return data


def test_what_is_echoed_is_what_was_sent(client):
    client.sendall(command(b"E", 5) + b"hello")
    assert read(client, 5) == b"hello"
    client.sendall(command(b"E", FOR_EVER))
    for word in (b"one", b"two" * 1000):
        client.sendall(word)
        assert read(client, len(word)) == word


def test_commands_may_come_in_pieces_or_all_at_once(client):
    for byte in command(b"E", 2) + b"ab":
        client.sendall(bytes([byte]))
    assert read(client, 2) == b"ab"
    client.sendall(
        command(b"E", 1) + b"x" + command(b"D", 3) + command(b"U", 2) + b"yy" + command(b"D", 0) + command(b"U", 0)
    )
    assert read(client, 6) == b"x\0\0\0uu"


def test_a_client_that_sends_long_before_it_reads_gets_everything_in_order(client):
    sent = bytes(range(251)) * (8 * MIB // 251)
    sender = threading.Thread(target=client.sendall, args=(command(b"E", len(sent)) + sent + command(b"D", 7),))
    sender.start()
    assert read(client, len(sent) + 7) == sent + bytes(7)
    sender.join()


def test_what_is_owed_comes_after_the_client_has_ended(client):
    client.sendall(command(b"D", 20 * MIB))
    client.shutdown(socket.SHUT_WR)
    assert read(client, 20 * MIB) == bytes(20 * MIB)
    assert client.recv(1) == b""


@pytest.mark.parametrize("said", [b"", b"E", command(b"E", 5) + b"hel", command(b"U", 9) + b"four"])
def test_an_end_at_any_place_is_answered_by_an_end(client, said):
    client.sendall(said)
    client.shutdown(socket.SHUT_WR)
    rest = b"".join(iter(lambda: client.recv(100), b""))
    assert rest == said[9:] * said.startswith(b"E")


def test_what_is_no_command_ends_the_connection(client):
    client.sendall(b"GET / HTTP")
    # A reset, when the rest of the line had not been read.
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_others_are_served_while_one_does_not_read(client, origin_port):
    client.sendall(command(b"D", FOR_EVER))
    with socket.create_connection(("127.0.0.1", origin_port), timeout=PATIENCE) as other:
        other.sendall(command(b"E", 3) + b"hey")
        assert read(other, 3) == b"hey"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(origin_program, number):
    running, _ = origin_program
    running.signal(number)
    assert running.wait_exit() == -number


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], r"usage: .*"),
        (["localhost", "0"], r"bench.origin: localhost:0: must be .*"),
        (["127.0.0.1", "{taken}"], r"bench.origin: .*cannot listen on 127.0.0.1:\d+: Address already in use"),
    ],
)
def test_a_start_that_cannot_be_is_one_line(tmp_path, arguments, complaint):
    with taken_port() as port:
        words = [word.format(taken=port) for word in arguments]
        with program(["-m", "bench.origin", *words], tmp_path / "output") as running:
            assert running.wait_exit() == 1
            assert len(running.lines()) == 1
            assert re.fullmatch(complaint, running.lines()[0])
