"""Servers with one port at several loopback addresses, like those of one host name; each says which it is."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class Teller(socketserver.BaseRequestHandler):
    """The server's own address is the first line; then back comes what came."""

    def handle(self) -> None:
        sock: socket.socket = self.request
        sock.sendall(f"{sock.getsockname()[0]}\n".encode())
        while data := sock.recv(1000):
            sock.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 100

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is no news."""


@contextmanager
def namesakes(*addresses: str) -> Iterator[int]:
    """The port that they all have."""
    with ExitStack() as running:
        servers = _bound(addresses)
        for server in servers:
            running.enter_context(server)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
        yield servers[0].server_address[1]


def _bound(addresses: tuple[str, ...]) -> list[_Server]:
    """All on the port that the first one got, unless it is taken at another address."""
    while True:
        servers = [_Server((addresses[0], 0), Teller)]
        try:
            for address in addresses[1:]:
                servers.append(_Server((address, servers[0].server_address[1]), Teller))
        except OSError:
            for server in servers:
                server.server_close()
        else:
            return servers


@contextmanager
def told_connection(port: int) -> Iterator[tuple[str, socket.socket]]:
    """A connection to a load balancer on that port: which server it got, and the socket."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        yield sock.makefile("r").readline().strip(), sock


def who_answers(port: int, tries: int = 8) -> set[str]:
    """The servers that as many connections get; "" for those that get none."""
    found = set()
    for _ in range(tries):
        try:
            with told_connection(port) as (address, _sock):
                found.add(address)
        except OSError:
            found.add("")
    return found
