"""A client whose handshakes take as long as the test likes: it makes its packets itself, in a network of two hosts.

with slow_client(80) as client:     # enters the network of the server, in which sockets of the test then are
    client.ask(1001)                # SYN from this port
    assert client.answered(1001)    # the SYN-ACK is there
    client.complete(1001)           # ACK
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from support.netns import Namespace, link

SERVER, CLIENT = "10.78.1.1", "10.78.1.2"
_ETHERTYPE = 0x0800
_SYN, _ACK, _SYN_ACK = 0x02, 0x10, 0x12


class SlowClient:
    """Answers nothing by itself: its machine does not know the address that it uses."""

    def __init__(self, port: int, packets: socket.socket, hardware: bytes) -> None:
        self._port, self._packets, self._hardware = port, packets, hardware
        self._answers: dict[int, int] = {}  # own port -> sequence number of the server

    def ask(self, port: int) -> None:
        self._send(port, 1000, 0, _SYN)

    def answered(self, port: int, within: float = 0.5) -> bool:
        """Whether the server has answered or does so."""
        while port not in self._answers and select.select([self._packets], [], [], within)[0]:
            packet = self._packets.recv(2000)
            head = (packet[0] & 15) * 4
            _, to, sequence, _, _, flags = struct.unpack_from("!HHIIBB", packet, head)
            if packet[9] == socket.IPPROTO_TCP and flags & _SYN_ACK == _SYN_ACK:
                self._answers[to] = sequence
        return port in self._answers

    def complete(self, port: int) -> None:
        self._send(port, 1001, self._answers[port] + 1, _ACK)

    def _send(self, port: int, sequence: int, acknowledged: int, flags: int) -> None:
        ends = socket.inet_aton(CLIENT) + socket.inet_aton(SERVER)
        tcp = struct.pack("!HHIIBBHHH", port, self._port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
        pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, socket.IPPROTO_TCP, 0) + ends
        ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
        self._packets.sendto(ip + tcp, ("out", _ETHERTYPE, 0, 0, self._hardware))


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@contextmanager
def slow_client(port: int) -> Iterator[SlowClient]:
    server, client = Namespace(), Namespace()
    try:
        link(server, "front", client, "out")
        server.ip(f"addr add {SERVER}/24 dev front")
        with client.inside():
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETHERTYPE))
            packets.bind(("out", _ETHERTYPE))
            own = packets.getsockname()[4]
        with server.inside():
            with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as looking:
                looking.bind(("front", _ETHERTYPE))
                theirs = looking.getsockname()[4]
            server.ip(f"neigh replace {CLIENT} lladdr {own.hex(':')} dev front nud permanent")
            with packets:
                yield SlowClient(port, packets, theirs)
    finally:
        server.close()
        client.close()
