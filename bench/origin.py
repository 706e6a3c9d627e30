"""The server behind every proxy: as much HTTP as curl, wrk and openssl s_time need, as cheap as Python allows.

GET /bytes/N sends N bytes (sendfile from memory), PUT reads and forgets, ECHO sends the request back, anything else
gets a short answer.
Started with an address as `python origin.py 127.0.0.1 PORT`; runs until it is killed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

CHUNK = 1 << 20


def zeros() -> int:
    """A memory file to send from."""
    descriptor = os.memfd_create("origin")
    os.write(descriptor, bytes(CHUNK))
    return descriptor


def serve(sock: socket.socket, source: int, scratch: bytearray) -> None:
    pending = b""
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            while b"\r\n\r\n" not in pending:
                data = sock.recv(65536)
                if not data:
                    return
                pending += data
            head, _, pending = pending.partition(b"\r\n\r\n")
            method, path, version = head.split(b"\r\n", 1)[0].split(b" ")
            if method == b"ECHO":
                sock.sendall(head + b"\r\n\r\n")
                continue
            if method == b"PUT":
                pending = discard(sock, head, pending, scratch)
                answer(sock, 3)
                sock.sendall(b"ok\n")
            elif path.startswith(b"/bytes/"):
                send_zeros(sock, int(path[7:]), source)
            else:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n%s\r\nhi\n" % ending(head))
            if ending(head):
                return
            if version == b"HTTP/1.0" and b"keep-alive" not in head.lower():
                return


def ending(head: bytes) -> bytes:
    """What the answer to a client that wants no second request says of that."""
    return b"Connection: close\r\n" if b"connection: close" in head.lower() else b""


def answer(sock: socket.socket, length: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)


def send_zeros(sock: socket.socket, size: int, source: int) -> None:
    answer(sock, size)
    while size:
        size -= os.sendfile(sock.fileno(), source, 0, min(size, CHUNK))


def discard(sock: socket.socket, head: bytes, pending: bytes, scratch: bytearray) -> bytes:
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    length -= len(pending)
    while length > 0:
        length -= sock.recv_into(scratch, min(length, CHUNK))
    return b""


def quietly(sock: socket.socket, source: int) -> None:
    # A benchmark's client may leave at any time.
    with contextlib.suppress(ConnectionError, ValueError):
        serve(sock, source, bytearray(CHUNK))


def main(host: str, port: str) -> None:
    source = zeros()
    with socket.create_server((host, int(port)), backlog=4096) as listener:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=quietly, args=(sock, source), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
