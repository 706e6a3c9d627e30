"""A PROXY protocol header read by the book and by nothing of ours, and the checksum it may carry."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, NOOP, SSL, CUSTOM = 1, 2, 3, 4, 0x20, 0xE1
VERSION, COMMON_NAME, CIPHER, SIG_ALG, KEY_ALG = 0x21, 0x22, 0x23, 0x24, 0x25
# What a network load balancer of AWS sent; the checksum in it is right.
AWS = (
    SIGNATURE
    + bytes.fromhex("21110054ac1f0771ac1f0a1fc8f20050030004e8d6892dea001701")
    + b"vpce-08d2bf15fac5001c9"
    + bytes.fromhex("040024")
    + bytes(36)
)


@dataclass
class Header:
    """`tlvs` in the order they stand in."""

    source: tuple[str, int]
    target: tuple[str, int]
    tlvs: list[tuple[int, bytes]] = field(default_factory=list)
    raw: bytes = b""

    def tlv(self, kind: int) -> bytes | None:
        return dict(self.tlvs).get(kind)

    def ssl(self) -> tuple[int, int, dict[int, bytes]]:
        """Client bits, verify, what is inside."""
        value = self.tlv(SSL)
        assert value is not None
        client, verify = struct.unpack("!BI", value[:5])
        return client, verify, dict(split_tlvs(value[5:]))


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def split_tlvs(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, length = struct.unpack("!BH", data[:3])
        assert len(data) >= 3 + length, data
        found.append((kind, data[3 : 3 + length]))
        data = data[3 + length :]
    return found


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def checked(header: bytes, at: int) -> bytes:
    """The header with the checksum filled into the four bytes at `at`."""
    blank = header[:at] + bytes(4) + header[at + 4 :]
    return header[:at] + crc32c(blank).to_bytes(4, "big") + header[at + 4 :]


def announced_echo(headers: list[Header]) -> Callable[[socket.socket], None]:
    """A handler for a Backend: notes the header and echoes what follows."""

    def serve(sock: socket.socket) -> None:
        headers.append(read_header(sock))
        while data := sock.recv(65536):
            sock.sendall(data)

    return serve


def read_header(sock: socket.socket) -> Header:
    """Not a byte more than the header is read; its checksum is verified."""
    raw = sock.recv(16, socket.MSG_WAITALL)
    assert raw[:13] == SIGNATURE + b"\x21", raw
    size = {0x11: 4, 0x21: 16}[raw[13]]
    raw += sock.recv(int.from_bytes(raw[14:16], "big"), socket.MSG_WAITALL)
    block = raw[16:]
    source_port, target_port = struct.unpack("!HH", block[2 * size : 2 * size + 4])
    source, target = (str(ipaddress.ip_address(block[i * size : (i + 1) * size])) for i in (0, 1))
    tlvs = split_tlvs(block[2 * size + 4 :])
    if (sum_ := dict(tlvs).get(CRC32C)) is not None:
        at = raw.index(b"\x03\x00\x04" + sum_) + 3
        assert checked(raw, at) == raw
    return Header((source, source_port), (target, target_port), tlvs, raw)
