"""Plain TCP with the face of TlsClient, so that a test may be told once for every transport."""

from __future__ import annotations

import socket

from support.rig import Rig
from support.tls_client import CHUNK, TlsClient, reset

TRANSPORTS = ("plain", "TLSv1.2", "TLSv1.3")


class PlainClient:
    """One TCP connection; what TLS calls a handshake is nothing here."""

    def __init__(self, address: tuple[str, int], *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect(address)

    def handshake(self) -> PlainClient:
        return self

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, most: int = CHUNK) -> bytes:
        return self.socket.recv(most)

    def receive_exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            data = self.receive(size - len(parts))
            if not data:
                raise ConnectionError(f"the stream ended after {len(parts)} of {size} bytes")
            parts += data
        return bytes(parts)

    def end_stream(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        reset(self.socket)


def connect(address: tuple[str, int], transport: str, *, receive_buffer: int = 0) -> PlainClient | TlsClient:
    """A client whose handshake is complete."""
    if transport == "plain":
        return PlainClient(address, receive_buffer=receive_buffer)
    return TlsClient(address, transport, receive_buffer=receive_buffer).handshake()


def of_rig(one: Rig, transport: str, *, receive_buffer: int = 0) -> PlainClient | TlsClient:
    """The same, closed with the rig at the latest."""
    client = connect(one.address, transport, receive_buffer=receive_buffer)
    one.adopt(client.socket)
    return client
