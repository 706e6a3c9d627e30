"""A connection of the API is not waited for longer than is reasonable: for a request, or for an answer to be read."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from fastnlb.control.api import connection
from fastnlb.control.api.connection import Connection

SMALL, LARGE = b"ok", b"x" * 8_000_000


class Watched(Connection):
    """`lost` is set when it is over."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.lost = asyncio.Event()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


async def app(scope: Any, _receive: Any, send: Any) -> None:
    body = LARGE if scope["path"] == "/large" else SMALL
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


async def begun() -> tuple[socket.socket, Watched]:
    """A client that does not wait, and how it is served."""
    config = uvicorn.Config(app, http=Watched, lifespan="off", log_config=None, timeout_keep_alive=60)
    config.load()
    ours, client = socket.socketpair()
    for sock in (ours, client):
        sock.setblocking(False)
    loop = asyncio.get_running_loop()
    _, served = await loop.connect_accepted_socket(lambda: Watched(config, ServerState(), {}), ours)
    return client, served


async def is_cut_off(*pieces: bytes) -> None:
    """A client sends these, each upon an answer to the one before, and then nothing; returns when it is over."""
    loop = asyncio.get_running_loop()
    client, served = await begun()
    with client:
        for number, piece in enumerate(pieces):
            if number:
                await loop.sock_recv(client, 1000)
            await loop.sock_sendall(client, piece)
        await asyncio.wait_for(served.lost.wait(), 30)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SLOWEST", 0.2)


def request(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()


def test_a_first_request_that_never_ends_is_cut_off() -> None:
    asyncio.run(is_cut_off(request("/small")[:9]))


def test_a_second_request_that_never_ends_is_cut_off_as_well() -> None:
    asyncio.run(is_cut_off(request("/small"), request("/small")[:9]))


@pytest.mark.parametrize("more", ["", "Connection: close\r\n"])
def test_who_does_not_read_the_answer_is_cut_off(more: str) -> None:
    asyncio.run(is_cut_off(request("/large", more)))


def test_who_has_just_come_when_the_end_begins_is_answered_once() -> None:
    async def come() -> bytes:
        loop = asyncio.get_running_loop()
        client, served = await begun()
        with client:
            served.shutdown()
            await loop.sock_sendall(client, request("/small"))
            await asyncio.wait_for(served.lost.wait(), 30)
            return await loop.sock_recv(client, 1000)

    assert asyncio.run(come()).endswith(SMALL)
