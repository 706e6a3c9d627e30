"""Streams in which any loss, change or reordering shows, cheap enough to make by the gigabyte.

A stream of SIZE bytes is one pseudo-random megabyte again and again, with the number of the repetition in its first
eight bytes.  A *mirror* connection: the client says in one line how much it will send and how much it wants, both
streams go at the same time, and at the end the server sends the digest of what it received.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

MEGABYTE = 1 << 20
DIGEST_BYTES = 32
HEADER = struct.Struct("!QQ")
_BODY = random.Random(20).randbytes(MEGABYTE - 8)  # noqa: S311 - to be repeatable is all that is asked of it


def pieces(size: int) -> Iterator[bytes]:
    """The stream of this size."""
    for number in range((size + MEGABYTE - 1) // MEGABYTE):
        piece = struct.pack("!Q", number) + _BODY
        yield piece[: min(MEGABYTE, size - number * MEGABYTE)]


def digest(size: int) -> bytes:
    """Of the stream of this size."""
    counted = hashlib.sha256()
    for piece in pieces(size):
        counted.update(piece)
    return counted.digest()


def exchange(sock: socket.socket, up: int, down: int) -> tuple[bytes, bytes]:
    """A client's side, TLS or not: the digests of what the server received and of what it sent.

    One thread for both directions: an SSLSocket may not be used by two.  The server's end of stream is awaited.
    """
    sock.setblocking(False)
    outgoing = itertools.chain([HEADER.pack(up, down)], pieces(up))
    left = memoryview(b"")
    received, told, wanted = hashlib.sha256(), b"", down + DIGEST_BYTES
    while wanted:
        if not left:
            left = memoryview(next(outgoing, b""))
        sent = _unless_blocked(sock.send, left) if left else 0
        left = left[sent:]
        data = _unless_blocked(sock.recv, min(wanted, 1 << 18))
        if data == b"":
            raise ConnectionError(f"the stream ended {wanted} bytes early")
        if data:
            body = max(0, min(len(data), wanted - DIGEST_BYTES))
            received.update(data[:body])
            told += data[body:]
            wanted -= len(data)
        elif not sent:
            ready = select.select([sock], [sock] if left else [], [], 30)
            assert any(ready), f"nothing moves, {wanted} bytes are missing"
    # Whoever closes with the other's close_notify unread sends a reset.
    sock.settimeout(30)
    assert sock.recv(1) == b"", "the server sent more than was asked for"
    return told, received.digest()


def _unless_blocked(call: Callable[[Any], Any], argument: Any) -> Any:
    """Its result; 0 when it would block."""
    try:
        return call(argument)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0


def send(sock: socket.socket, size: int) -> None:
    for piece in pieces(size):
        sock.sendall(piece)


def receive_digest(sock: socket.socket, size: int) -> bytes:
    """Of the next `size` bytes received."""
    counted = hashlib.sha256()
    while size:
        data = sock.recv(min(size, MEGABYTE))
        if not data:
            raise ConnectionError(f"the stream ended {size} bytes early")
        counted.update(data)
        size -= len(data)
    return counted.digest()


def serve_mirror() -> None:
    """For ever; prints its port first."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)  # noqa: T201
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=mirror, args=(sock,), daemon=True).start()


def mirror(sock: socket.socket) -> None:
    with sock, contextlib.suppress(ConnectionError):
        header = b""
        while len(header) < HEADER.size:
            data = sock.recv(HEADER.size - len(header))
            if not data:
                return
            header += data
        up, down = HEADER.unpack(header)
        sender = threading.Thread(target=send, args=(sock, down), daemon=True)
        sender.start()
        told = receive_digest(sock, up)
        sender.join()
        sock.sendall(told)
