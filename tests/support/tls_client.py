"""A TLS client that can do what well-behaved ones do not: half-close, stop anywhere, reset, send single bytes.

The standard library's ssl cannot half-close, so this drives pyOpenSSL over memory and owns the socket itself.
"""

from __future__ import annotations

import socket
import struct

from OpenSSL import SSL

VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}
CHUNK = 65536


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TlsClient:
    """One connection; `version` pins the protocol.

    `receive_buffer` and `segment` (the largest TCP segment) keep small what the kernel holds for this client.
    """

    def __init__(
        self, address: tuple[str, int], version: str = "TLSv1.3", *, receive_buffer: int = 0, segment: int = 0
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
        self.prepare_context(context)
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.socket.settimeout(20)
        self.socket.connect(address[:2])
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.tls.set_tlsext_host_name(b"localhost")

    def prepare_context(self, context: SSL.Context) -> None:
        """For a client with wishes of its own."""

    # --- the wire ----------------------------------------------------------------------------------------------

    def outgoing(self) -> bytes:
        """Ciphertext the library wants to send."""
        parts = []
        while True:
            try:
                parts.append(self.tls.bio_read(CHUNK))
            except SSL.WantReadError:
                return b"".join(parts)

    def flush(self) -> None:
        if data := self.outgoing():
            self.socket.sendall(data)

    def feed(self) -> bool:
        """Give the library what arrives next; False at the end of the TCP stream."""
        data = self.socket.recv(CHUNK)
        if data:
            self.tls.bio_write(data)
        return bool(data)

    # --- TLS ---------------------------------------------------------------------------------------------------

    def handshake(self) -> TlsClient:
        while True:
            try:
                self.tls.do_handshake()
            except SSL.WantReadError:
                self.flush()
                if not self.feed():
                    raise ConnectionError("closed during the handshake") from None
            else:
                self.flush()
                return self

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sent = self.tls.send(view[:CHUNK])
            view = view[sent:]
            self.flush()

    def receive(self, most: int = CHUNK) -> bytes:
        """The next plaintext; empty after close_notify.  ConnectionError when TCP ends without it."""
        while True:
            try:
                return self.tls.recv(most)
            except SSL.ZeroReturnError:
                return b""
            except SSL.WantReadError:
                self.flush()
                if not self.feed():
                    raise ConnectionError("TCP ended without close_notify") from None

    def receive_all(self) -> bytes:
        parts = []
        while data := self.receive():
            parts.append(data)
        return b"".join(parts)

    def receive_exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            data = self.receive(min(CHUNK, size - len(parts)))
            if not data:
                raise ConnectionError(f"the stream ended after {len(parts)} of {size} bytes")
            parts += data
        return bytes(parts)

    def end_stream(self) -> None:
        """close_notify and nothing else: this client still reads."""
        self.tls.shutdown()
        self.flush()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        reset(self.socket)
