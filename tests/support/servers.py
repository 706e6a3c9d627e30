"""A server in a process of its own, so that its descriptors and its processor time are not the test's.

    python -m support.servers KIND [ADDRESS]

KIND is `echo`, on ADDRESS; `mirror`, as support.stream describes it; `tongues`, as support.tongues describes it; or
`http`: GET /SIZE answers with a stream of that size, PUT with the SHA-256 of what it got.  The port is the first line
it writes.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support import stream
from support.procs import program
from support.tongues import Tongues


class Echo(asyncio.Protocol):
    """Back comes what came, and the end after it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Web(BaseHTTPRequestHandler):
    """Bodies for curl."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(self.path[1:])
        self._head(size)
        for piece in stream.pieces(size):
            self.wfile.write(piece)

    def do_PUT(self) -> None:
        counted = hashlib.sha256()
        left = int(self.headers["Content-Length"])
        while left and (data := self.rfile.read(min(left, stream.MEGABYTE))):
            counted.update(data)
            left -= len(data)
        body = counted.hexdigest().encode()
        self._head(len(body))
        self.wfile.write(body)

    def _head(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The first line written must be the port."""


def serve_http() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    print(server.server_address[1], flush=True)  # noqa: T201
    server.serve_forever()


async def serve(protocol: type[asyncio.Protocol], host: str = "127.0.0.1") -> None:
    server = await asyncio.get_running_loop().create_server(protocol, host, 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "echo":
        asyncio.run(serve(Echo, *sys.argv[2:]))
    elif sys.argv[1] == "tongues":
        asyncio.run(serve(Tongues))
    elif sys.argv[1] == "mirror":
        stream.serve_mirror()
    else:
        serve_http()


@contextmanager
def running(kind: str, folder: Path, host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """The address of such a server, for the length of a block; only `echo` may have another host."""
    more = [] if host == "127.0.0.1" else [host]
    with program(["-m", "support.servers", kind, *more], folder / f"server-{kind}") as started:
        yield host, int(started.wait_line(r"\d+"))


if __name__ == "__main__":
    main()
