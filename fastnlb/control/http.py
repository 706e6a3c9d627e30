"""HTTP/1.1 on the admin socket, in the loop of control: one request a connection, answered when it can be.

Parsing is h11's.  What is out of bounds (a body over 64 KiB, more than 64 clients at once) is refused; a client that
leaves before its answer is forgotten.  Answers are JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import h11

MOST_CLIENTS = 64
MOST_BODY = 64 * 1024
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants; `path` without the query."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Reply = Callable[[int, object], None]
"""Answers with a status and what is to be sent as JSON.  To be called once, now or later; late ones are lost."""

Handler = Callable[[Request, Reply], None]


class HttpServer:
    """Clients of one listening socket, which stays its owner's."""

    def __init__(self, listener: socket.socket, selector: selectors.BaseSelector, handler: Handler) -> None:
        self._listener = listener
        self._selector = selector
        self._handler = handler
        self._clients: dict[_Client, None] = {}
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._on_clients)

    def close(self) -> None:
        """No more clients, and those there are get what is written already."""
        with suppress(KeyError):
            self._selector.unregister(self._listener)
        for client in list(self._clients):
            self._drop(client)

    def _on_clients(self, _events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # gone already, or out of descriptors: the next turn tries again
        if len(self._clients) >= MOST_CLIENTS:
            self._drop(next(iter(self._clients)))  # the oldest: it has had its time
        sock.setblocking(False)
        client = _Client(sock, self._handler)
        self._clients[client] = None
        self._selector.register(sock, selectors.EVENT_READ, partial(self._on_client, client))
        client.on_output = partial(self._watch, client)

    def _on_client(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_READ:
            client.read()
        client.write()
        self._watch(client)

    def _watch(self, client: _Client) -> None:
        if client not in self._clients:
            return
        if client.over:
            self._drop(client)
            return
        # At its end a socket is readable for ever.
        events = (0 if client.ended else selectors.EVENT_READ) | (selectors.EVENT_WRITE if client.output else 0)
        self._selector.modify(client.socket, events, partial(self._on_client, client))

    def _drop(self, client: _Client) -> None:
        del self._clients[client]
        self._selector.unregister(client.socket)
        client.socket.close()


class _Client:
    """One connection: bytes in, one request, bytes out."""

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self.socket = sock
        self.output = b""
        self.over = False
        self.ended = False  # nothing more comes of it: it may still read
        self.on_output: Callable[[], None] = lambda: None
        self._handler = handler
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = b""
        self._handled = False
        self._answered = False

    def read(self) -> None:
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.over = True
            return
        if not data and self._request is None:
            self.over = True
            return
        try:
            if not (self._handled or self._answered):  # what comes after a request is nothing we keep
                self._http.receive_data(data)
                self._events()
        except h11.RemoteProtocolError as error:
            self._reply(error.error_status_hint, {"error": f"not HTTP: {error}"})
        if not data and not self.output:
            self.over = True  # whoever has closed its end does not wait
        self.ended = not data

    def write(self) -> None:
        with suppress(BlockingIOError):
            try:
                while self.output:
                    self.output = self.output[self.socket.send(self.output) :]
            except (BrokenPipeError, ConnectionResetError):
                self.over = True
        if self._answered and not self.output:
            self.over = True

    def _events(self) -> None:
        while not self._answered:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MOST_BODY:
                    self._reply(413, {"error": f"the body is larger than {MOST_BODY} bytes"})
            elif isinstance(event, h11.EndOfMessage):
                self._handle()
                return
            else:  # NEED_DATA, PAUSED, or the end of the connection
                return

    def _handle(self) -> None:
        assert self._request is not None  # noqa: S101 - for the type checker
        self._handled = True
        try:
            target = urlsplit(self._request.target.decode("ascii", "replace"))
        except ValueError as error:
            self._reply(400, {"error": f"not HTTP: {error}"})
            return
        query = dict(parse_qsl(target.query))
        request = Request(self._request.method.decode("ascii"), target.path, query, self._body)
        self._handler(request, self._late_reply)

    def _late_reply(self, status: int, answer: object) -> None:
        self._reply(status, answer)
        self.write()
        self.on_output()

    def _reply(self, status: int, answer: object) -> None:
        if self._answered or self.over:
            return
        self._answered = True
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        with suppress(h11.LocalProtocolError):  # what is not HTTP may be beyond an answer in it
            parts = (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
            self.output += b"".join(self._http.send(part) or b"" for part in parts)
