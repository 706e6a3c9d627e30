"""A TLS client that can do what well-behaved ones do not: half-close, stop anywhere, reset, send single bytes.

The standard library's ssl cannot half-close, so this drives pyOpenSSL over memory and owns the socket itself.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from fastnlb.tls import binding
from support.certs import Issued

VERSIONS = {
    "TLSv1.0": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
CHUNK = 65536


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TlsClient:
    """One connection; `version` pins the protocol.

    `name` is the server name asked for; `resume` the client whose session to resume, and whose wishes to share; the
    other wishes are those of prepare_context.  `receive_buffer` and `segment` (the largest TCP segment) keep small
    what the kernel holds for this client.
    """

    def __init__(
        self,
        address: tuple[str, int],
        version: str = "TLSv1.3",
        *,
        name: bytes | None = b"localhost",
        resume: TlsClient | None = None,
        receive_buffer: int = 0,
        segment: int = 0,
        **wishes: Any,
    ) -> None:
        self.context = resume.context if resume else self._make_context(version, wishes)
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.socket.settimeout(20)
        try:
            self.socket.connect(address[:2])
        except OSError:
            self.socket.close()  # it may have been reset already
            raise
        self.transmit: Callable[[bytes], object] = self.socket.sendall
        # One thread may send while another receives, but only one at a time be in the library.
        self._library, self._sending = threading.Lock(), threading.Lock()
        self.tls = SSL.Connection(self.context, None)
        self.tls.set_connect_state()
        if name is not None:
            self.tls.set_tlsext_host_name(name)
        if resume:
            session = resume.tls.get_session()
            assert session is not None
            self.tls.set_session(session)

    def _make_context(self, version: str, wishes: dict[str, Any]) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
        self.prepare_context(context, **wishes)
        return context

    def prepare_context(
        self,
        context: SSL.Context,
        *,
        ciphers: str = "",
        signatures: str = "",
        groups: str = "",
        alpn: Sequence[bytes] = (),
        identity: Issued | None = None,
    ) -> None:
        """Only what is named is offered; `identity` is the certificate and key to show when asked for one."""
        if ciphers.startswith("TLS_"):
            context.set_tls13_ciphersuites(ciphers.encode())
            ciphers = ""
        context.set_cipher_list(f"{ciphers or 'DEFAULT'}:@SECLEVEL=0".encode())
        if signatures:
            assert binding.set_signature_algorithms(context, signatures)
        if groups:
            assert binding.set_groups(context, groups)
        if alpn:
            context.set_alpn_protos(list(alpn))
        if identity is not None:
            context.use_certificate(identity.certificate)
            for each in identity.above:
                context.add_extra_chain_cert(each)
            context.use_privatekey(identity.key)

    # --- the wire ----------------------------------------------------------------------------------------------

    def outgoing(self) -> bytes:
        """Ciphertext the library wants to send."""
        parts = []
        with self._library:
            while True:
                try:
                    parts.append(self.tls.bio_read(CHUNK))
                except SSL.WantReadError:
                    return b"".join(parts)

    def flush(self, *, wait: bool = True) -> None:
        """Sends it.  With another thread in the middle of that, waits, or leaves it to that one."""
        if not self._sending.acquire(blocking=wait):
            return
        try:
            while data := self.outgoing():
                self.transmit(data)
        finally:
            self._sending.release()

    def feed(self) -> bool:
        """Give the library what arrives next; False at the end of the TCP stream."""
        data = self.socket.recv(CHUNK)
        if data:
            with self._library:
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

    def shown(self) -> str:
        """The common name of the certificate the server has shown."""
        leaf = self.tls.get_peer_certificate(as_cryptography=True)
        assert leaf is not None
        (name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)

    def refused(self) -> str:
        """The alert with which the server refuses the handshake, or what comes after it; fails when it does not."""
        try:
            self.handshake()
            # With TLS 1.3 the client is done before the server has seen its certificate.
            self.receive()
        except SSL.Error as error:
            self.close()
            return str(error.args[0][-1][-1])
        raise AssertionError("the server took it")

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with self._library:
                sent = self.tls.send(view[:CHUNK])
            view = view[sent:]
            self.flush()

    def receive(self, most: int = CHUNK) -> bytes:
        """The next plaintext; empty after close_notify.  ConnectionError when TCP ends without it."""
        while True:
            try:
                with self._library:
                    return self.tls.recv(most)
            except SSL.ZeroReturnError:
                return b""
            except SSL.WantReadError:
                self.flush(wait=False)
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
        with self._library:
            self.tls.shutdown()
        self.flush()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        reset(self.socket)
