"""HTTP on the admin socket: real clients of a server whose loop the test turns."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.procs import wait_for

from fastnlb.control.http import MOST_BODY, MOST_CLIENTS, HttpServer, Reply, Request


class Stage:
    """A server that keeps its requests; with `answer` None they wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer: object | None = {"ok": True}
        self.requests: list[tuple[Request, Reply]] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(256)
        self.selector = selectors.DefaultSelector()
        self.server = HttpServer(self.listener, self.selector, self._handle)

    def _handle(self, request: Request, reply: Reply) -> None:
        self.requests.append((request, reply))
        if self.answer is not None:
            reply(200, self.answer)

    def turn(self) -> None:
        for key, events in self.selector.select(0.02):
            key.data(events)

    def client(self, data: bytes) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self.path))
        sock.setblocking(False)
        sock.sendall(data)
        return sock

    def answer_to(self, sock: socket.socket) -> bytes:
        """All that comes until the server closes."""
        got = bytearray()

        def ended() -> bool:
            self.turn()
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                return False
            got.extend(data)
            return not data

        wait_for(ended, "the end of the answer")
        sock.close()
        return bytes(got)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "s")
    yield stage
    stage.server.close()
    assert not stage.selector.get_map(), "a client was kept"
    stage.selector.close()
    stage.listener.close()


GET = b"GET /api/v1/status?a=1 HTTP/1.1\r\nHost: x\r\n\r\n"


def body_of(answer: bytes) -> object:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_request_is_answered_and_the_connection_ends(stage: Stage) -> None:
    answer = stage.answer_to(stage.client(GET))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert body_of(answer) == {"ok": True}
    assert [request for request, _ in stage.requests] == [Request("GET", "/api/v1/status", {"a": "1"})]


def test_a_request_in_single_bytes_with_a_body(stage: Stage) -> None:
    data = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    sock = stage.client(b"")
    for at in range(len(data)):
        sock.sendall(data[at : at + 1])
        stage.turn()
    assert body_of(stage.answer_to(sock)) == {"ok": True}
    assert stage.requests[0][0] == Request("POST", "/x", {}, b"abc")


def test_an_answer_may_come_later_and_others_are_served_meanwhile(stage: Stage) -> None:
    stage.answer = None
    slow = stage.client(GET)
    wait_for(lambda: (stage.turn(), len(stage.requests) == 1)[1], "the request")
    stage.answer = {"ok": True}
    assert body_of(stage.answer_to(stage.client(GET))) == {"ok": True}
    stage.requests[0][1](409, {"late": True})
    assert stage.answer_to(slow).startswith(b"HTTP/1.1 409 ")


def test_a_large_answer_to_a_slow_reader_arrives_whole(stage: Stage) -> None:
    stage.answer = {"much": "x" * 3_000_000}
    assert body_of(stage.answer_to(stage.client(GET))) == stage.answer


def test_who_leaves_before_the_answer_is_forgotten(stage: Stage) -> None:
    stage.answer = None
    sock = stage.client(GET)
    wait_for(lambda: (stage.turn(), len(stage.requests) == 1)[1], "the request")
    sock.close()
    wait_for(lambda: (stage.turn(), len(stage.selector.get_map()) == 1)[1], "the client to be forgotten")
    stage.requests[0][1](200, {})


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x00\x05hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: z\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" + b"x" * (MOST_BODY + 1), 413),
        (b"GET /" + b"x" * 40_000, 431),
    ],
    ids=["tls", "bad length", "large body", "endless line"],
)
def test_what_is_no_fit_request_is_refused(stage: Stage, data: bytes, status: int) -> None:
    assert stage.answer_to(stage.client(data)).startswith(b"HTTP/1.1 %d " % status)
    assert stage.requests == []


def test_the_oldest_client_makes_room(stage: Stage) -> None:
    silent = [stage.client(b"") for _ in range(MOST_CLIENTS)]
    wait_for(lambda: (stage.turn(), len(stage.selector.get_map()) == MOST_CLIENTS + 1)[1], "all of them")
    assert body_of(stage.answer_to(stage.client(GET))) == {"ok": True}
    assert stage.answer_to(silent[0]) == b""
    for sock in silent[1:]:
        sock.close()


@pytest.mark.parametrize("target", [b"//[", b"http://[::1"])
def test_an_address_that_is_none_is_an_answer_and_no_end(stage: Stage, target: bytes) -> None:
    answer = stage.answer_to(stage.client(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert stage.requests == []


def test_a_client_that_has_closed_its_end_and_does_not_read_costs_no_turns(stage: Stage) -> None:
    stage.answer = "x" * 4_000_000
    sock = stage.client(GET)
    sock.shutdown(socket.SHUT_WR)
    wait_for(lambda: not (stage.turn() or stage.selector.select(0.05)), "a quiet loop", 2)
    assert len(stage.answer_to(sock)) > 4_000_000


def test_what_comes_after_a_request_is_not_kept(stage: Stage) -> None:
    stage.answer = None
    sock = stage.client(GET)
    wait_for(lambda: stage.turn() or stage.requests, "the request")
    for _ in range(20):
        sock.send(b"x" * 50_000)
        stage.turn()
    ((_, reply),) = stage.requests
    (client,) = stage.server._clients
    assert len(client._http.trailing_data[0]) == 0
    reply(200, {"ok": True})
    assert body_of(stage.answer_to(sock)) == {"ok": True}
