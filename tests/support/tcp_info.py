"""What the kernel has counted for a TCP socket: fields of struct tcp_info (linux/tcp.h)."""

from __future__ import annotations

import socket
import struct

SEGS_IN = 140
DATA_SEGS_IN = 152


def segments_received(sock: socket.socket) -> int:
    return _field(sock, SEGS_IN)


def data_segments_received(sock: socket.socket) -> int:
    """Those with bytes in them."""
    return _field(sock, DATA_SEGS_IN)


def _field(sock: socket.socket, offset: int) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, offset + 4)
    (value,) = struct.unpack_from("=I", info, offset)
    return int(value)
