"""TLS 1.3 records no library would write: the client's keys are taken from its key log and used by hand.

RFC 8446: section 5.2 for the record, 7.1 to 7.3 for the keys, 4.6.3 for KeyUpdate.
"""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

from support.tls_client import TlsClient

DATA, ALERT, HANDSHAKE = 23, 21, 22
CLOSE_NOTIFY = b"\x01\x00"
# A KeyUpdate message that asks the peer to update its own keys too.
KEY_UPDATE = b"\x18\x00\x00\x01\x01"
CIPHER = "TLS_AES_128_GCM_SHA256"


class Forger(TlsClient):
    """A TLS 1.3 client whose own records may be forged after its handshake; it must not use send() any more."""

    def __init__(self, address: tuple[str, int], *, receive_buffer: int = 0, segment: int = 0) -> None:
        self._secret = b""
        self._number = 0
        super().__init__(address, "TLSv1.3", receive_buffer=receive_buffer, segment=segment)

    def prepare_context(self, context: SSL.Context) -> None:
        context.set_tls13_ciphersuites(CIPHER.encode())
        context.set_keylog_callback(self._on_key)

    def _on_key(self, _connection: SSL.Connection, line: bytes) -> None:
        label, _, secret = line.split()
        if label == b"CLIENT_TRAFFIC_SECRET_0":
            self._use(bytes.fromhex(secret.decode()))

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._number = 0
        self._cipher = AESGCM(_expand(secret, b"key", 16))
        self._iv = int.from_bytes(_expand(secret, b"iv", 12), "big")

    def record(self, body: bytes, kind: int = DATA, padding: int = 0) -> bytes:
        """The next record in turn, sealed; to be sent in the order of the calls."""
        inner = body + bytes([kind]) + bytes(padding)
        header = b"\x17\x03\x03" + struct.pack("!H", len(inner) + 16)
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._cipher.encrypt(nonce, inner, header)

    def key_update(self) -> bytes:
        """A KeyUpdate that asks for an answer; the records after it are under the new key."""
        sealed = self.record(KEY_UPDATE, HANDSHAKE)
        self._use(_expand(self._secret, b"traffic upd", 32))
        return sealed


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    name = b"tls13 " + label
    info = struct.pack("!HB", length, len(name)) + name + b"\0"
    return HKDFExpand(hashes.SHA256(), length, info).derive(secret)
