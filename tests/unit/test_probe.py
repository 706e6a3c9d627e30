"""One probe against a server of the test: every verdict there is, and what HTTP checks say and understand."""

from __future__ import annotations

import os
import select
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from support.procs import free_port, wait_for

from fastnlb.board import Reason
from fastnlb.control.http_check import MOST_BYTES, judge, request
from fastnlb.control.probe import PROXY_LOCAL, Phase, Probe
from fastnlb.model import HealthCheck

HTTP = HealthCheck("HTTP")
OK = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"
CODES = ("http_2xx",)


def run(probe: Probe, seconds: float = 10.0) -> Reason:
    """As its owner would; the time of a phase is `seconds`."""
    try:
        verdict = probe.begin()
        while verdict is None:
            writing = [probe] if probe.events & selectors.EVENT_WRITE else []
            reading = [probe] if probe.events & selectors.EVENT_READ else []
            ready = select.select(reading, writing, [], seconds)
            verdict = probe.step() if any(ready) else probe.overdue()
        return verdict
    finally:
        probe.close()


@contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serves one connection with `answer`; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                with suppress(OSError):  # the probe resets
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def says(*parts: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000) if parts else None

    return answer


def reset(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_tcp_check_connects_and_leaves_no_time_wait() -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        try:
            seen.append(connection.recv(10))
        except ConnectionResetError:
            seen.append(b"reset")

    with server(answer) as port:
        assert run(Probe(HealthCheck(), "127.0.0.1", port)) is Reason.NONE
    assert seen == [b"reset"]


def test_another_port_may_be_probed() -> None:
    with server(lambda _connection: None) as port:
        assert run(Probe(HealthCheck(connect_port=port), "127.0.0.1", free_port())) is Reason.NONE


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_nobody_listens_on_has_failed(host: str) -> None:
    assert run(Probe(HealthCheck(), host, free_port(host))) is Reason.CONNECT_FAILED


def test_what_does_not_answer_is_timed_out(black_hole: tuple[str, int]) -> None:
    assert run(Probe(HealthCheck(), *black_hole), 0.1) is Reason.CONNECT_TIMEOUT


def test_a_socket_that_is_connected_to_itself_is_no_server() -> None:
    port = free_port()
    probe = Probe(HealthCheck(), "127.0.0.1", port)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.connect(("127.0.0.1", port))
        probe._socket = sock
        assert probe.step() is Reason.CONNECT_FAILED


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (says(OK), Reason.NONE),
        (says(b"HTTP/1.0 2", b"04 \r\n", b"\r\n"), Reason.NONE),
        (says(b"HTTP/1.1 503 no\r\n\r\n"), Reason.HTTP_CODE_NOT_MATCH),
        (says(b"SSH-2.0-OpenSSH\r\n"), Reason.HTTP_INVALID_HEADER),
        (says(b"HTTP/1.1 20"), Reason.CONNECT_INTERRUPT),
        (says(), Reason.CONNECT_INTERRUPT),
        (reset, Reason.CONNECT_INTERRUPT),
    ],
)
def test_http_verdicts(answer: Callable[[socket.socket], None], verdict: Reason) -> None:
    with server(answer) as port:
        assert run(Probe(HTTP, "127.0.0.1", port)) is verdict


def test_a_server_that_says_nothing_is_timed_out() -> None:
    release = threading.Event()
    with server(lambda _connection: release.wait(10)) as port:
        probe = Probe(HTTP, "127.0.0.1", port)
        assert run(probe, 0.1) is Reason.RECV_RESPONSE_TIMEOUT
        assert probe.phase is Phase.RECEIVING
        release.set()


# What begins with a PROXY protocol header


def hears(heard: list[bytes], answer: bytes = b"") -> Callable[[socket.socket], None]:
    """Everything, until it has an answer to give or hears the end."""

    def listen(connection: socket.socket) -> None:
        heard.append(b"")
        while data := connection.recv(1000):
            heard[-1] += data
            if answer and heard[-1].endswith(b"\r\n\r\n"):
                connection.sendall(answer)
        heard.append(b"the end")

    return listen


def test_the_header_says_local_and_nothing_else() -> None:
    signature, version_and_command, family, length = struct.unpack("!12sBBH", PROXY_LOCAL)
    assert signature == bytes.fromhex("0d0a0d0a000d0a515549540a")
    assert (version_and_command, family, length) == (0x20, 0, 0)


def test_an_http_check_says_it_before_the_request() -> None:
    heard: list[bytes] = []
    check = HealthCheck("HTTP", proxy_protocol=True)
    with server(hears(heard, OK)) as port:
        assert run(Probe(check, "127.0.0.1", port)) is Reason.NONE
    assert heard == [PROXY_LOCAL + request(check, "127.0.0.1")]


def test_a_tcp_check_says_it_and_ends_without_a_reset() -> None:
    heard: list[bytes] = []
    with server(hears(heard)) as port:
        assert run(Probe(HealthCheck(proxy_protocol=True), "127.0.0.1", port)) is Reason.NONE
    assert heard == [PROXY_LOCAL, b"the end"]


def test_a_tcp_check_with_a_header_tells_the_same_failures(black_hole: tuple[str, int]) -> None:
    check = HealthCheck(proxy_protocol=True)
    assert run(Probe(check, "127.0.0.1", free_port())) is Reason.CONNECT_FAILED
    assert run(Probe(check, *black_hole), 0.1) is Reason.CONNECT_TIMEOUT


def test_nothing_is_left_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count

    before = descriptors()
    for _ in range(20):
        run(Probe(HTTP, "127.0.0.1", free_port()))
    wait_for(lambda: descriptors() == before, "the sockets to close")


# What is said


def test_the_request_line_and_its_host() -> None:
    def head(check: HealthCheck, address: str = "10.0.0.1") -> list[str]:
        text = request(check, address).decode()
        assert text.endswith("\r\n\r\n")
        return [line for line in text.split("\r\n") if "HTTP/" in line or "Host" in line]

    assert head(HTTP) == ["GET / HTTP/1.0"]
    assert head(HealthCheck("HTTP", url="/a?b", method="HEAD")) == ["HEAD /a?b HTTP/1.0"]
    assert head(HealthCheck("HTTP", domain="a.example")) == ["GET / HTTP/1.0", "Host: a.example"]
    assert head(HealthCheck("HTTP", domain="$SERVER_IP")) == ["GET / HTTP/1.0", "Host: 10.0.0.1"]
    assert head(HealthCheck("HTTP", http_version="HTTP1.1")) == ["GET / HTTP/1.1", "Host: 10.0.0.1"]
    assert head(HealthCheck("HTTP", domain="$SERVER_IP"), "::1") == ["GET / HTTP/1.0", "Host: [::1]"]


# What is understood


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n", Reason.NONE),
        (b"HTTP/1.1 200\r\n", Reason.NONE),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", Reason.NONE),
        (b"HTTP/1.1 103 x\r\nLink: a\r\n\r\nHTTP/1.1 404 x\r\n", Reason.HTTP_CODE_NOT_MATCH),
        (b"HTTP/1.1 101 x\r\n", Reason.HTTP_CODE_NOT_MATCH),
        (b"HTTP/1.1 301 x\r\n", Reason.HTTP_CODE_NOT_MATCH),
        (b"HTTP/1.1 600 x\r\n", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 099 x\r\n", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 2000 x\r\n", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1  200 x\r\n", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/2.0 200 x\r\n", Reason.HTTP_INVALID_HEADER),
        (b"http/1.1 200 x\r\n", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 200 OK\n", Reason.HTTP_INVALID_HEADER),
        (b"\r\nHTTP/1.1 200 OK\r\n", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 200 a\0b\r\n", Reason.HTTP_INVALID_HEADER),
        (b"\x15\x03\x01", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 100 x\r\n\r\nnonsense", Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 200 " + b"x" * MOST_BYTES, Reason.HTTP_INVALID_HEADER),
        (b"HTTP/1.1 100 x\r\nA: " + b"x" * MOST_BYTES, Reason.HTTP_INVALID_HEADER),
        (b"", None),
        (b"HTT", None),
        (b"HTTP/1.1 200 OK\r", None),
        (b"HTTP/1.1 100 x\r\n\r", None),
        (b"HTTP/1.1 100 x\r\n\r\nHTTP/1.", None),
    ],
)
def test_an_answer_is_read_strictly(answer: bytes, verdict: Reason | None) -> None:
    assert judge(answer, CODES) is verdict


def test_every_piece_of_a_good_answer_asks_for_more() -> None:
    whole = b"HTTP/1.1 102 x\r\nA: b\r\n\r\nHTTP/1.0 204 \r\n"
    assert {judge(whole[:size], CODES) for size in range(len(whole))} == {None}
    assert judge(whole, CODES) is Reason.NONE


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_the_classes(code: int) -> None:
    answer = b"HTTP/1.0 %d07 x\r\n" % code
    assert judge(answer, (f"http_{code}xx",)) is Reason.NONE
    assert (
        judge(answer, tuple(f"http_{each}xx" for each in (2, 3, 4, 5) if each != code)) is Reason.HTTP_CODE_NOT_MATCH
    )
