"""An origin for any client: HTTP/2 without TLS, HTTP/1.x, or back comes what came; the first bytes decide.

Every HTTP request is answered with the protocol it was made in, as text.  Of HTTP/2 (RFC 9113) it knows what a client
with prior knowledge needs for requests without large bodies; it never looks into their headers.
"""

from __future__ import annotations

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
METHODS = (b"GET ", b"HEAD", b"POST", b"PUT ")
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, ACK, END_HEADERS = 1, 1, 4
FRAME_HEAD = 9
STATUS_200 = b"\x88"  # HPACK's static table, entry 8


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack("!I", len(body))[1:] + struct.pack("!BBI", kind, flags, stream) + body


class Tongues(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.held = b""
        self.speak = self.listen

    def data_received(self, data: bytes) -> None:
        self.held += data
        self.speak()

    def listen(self) -> None:
        """Until it is clear what the client speaks."""
        if len(self.held) < len(PREFACE) and PREFACE.startswith(self.held):
            return
        if self.held.startswith(PREFACE):
            self.held = self.held[len(PREFACE) :]
            self.transport.write(frame(SETTINGS, 0, 0))
            self.speak = self.http_2
        else:
            self.speak = self.http_1 if self.held.startswith(METHODS) else self.echo
        self.speak()

    def echo(self) -> None:
        self.transport.write(self.held)
        self.held = b""

    def http_1(self) -> None:
        head, end, rest = self.held.partition(b"\r\n\r\n")
        if not end:
            return
        self.held = rest
        version = head.partition(b"\r\n")[0].rpartition(b" ")[2]
        body = b"" if head.startswith(b"HEAD") else version
        length = str(len(version)).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + body)
        if version == b"HTTP/1.0" or b"\r\nconnection: close" in head.lower():
            self.transport.close()

    def http_2(self) -> None:
        while len(self.held) >= FRAME_HEAD:
            size = int.from_bytes(self.held[:3], "big")
            if len(self.held) < FRAME_HEAD + size:
                return
            kind, flags, stream = struct.unpack_from("!BBI", self.held, 3)
            body, self.held = self.held[FRAME_HEAD : FRAME_HEAD + size], self.held[FRAME_HEAD + size :]
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.transport.write(frame(kind, ACK, 0, body if kind == PING else b""))
            elif kind in (HEADERS, DATA) and flags & END_STREAM:
                self.transport.write(frame(HEADERS, END_HEADERS, stream, STATUS_200))
                self.transport.write(frame(DATA, END_STREAM, stream, b"HTTP/2"))
