"""Which sockets of a SO_REUSEPORT group get new connections: those on which somebody accepts, and will in a second.

    chosen   by default
    waiting  has no acceptor yet, or none at the moment: passed over while others of its group are chosen
    going    is about to be closed: passed over; where the whole group is going, new requests are dropped, so that the
             client asks again in a second, while handshakes that are under way still end

Two classic BPF programs do it.  One, for the group, takes no privilege and names the index of a member: members are
indexed in the order they were listened on, and when one is closed the last takes its index.  Here is the same list
(`join`, `forget`), which is right as long as nobody else has a copy of a socket that is closed.  An index that is not
there makes the kernel fall back to its hash, so a program that is outdated for a moment does no harm, and a socket
that is closed has new requests dropped first.  The other, for one socket, lets everything pass but a SYN.  There are
kernels that take CAP_NET_ADMIN for it; without, who comes while the whole group is going is accepted until it is
closed, and who comes in the very last round trip is reset.

That a program cannot be attached is logged, once, and nothing more: the sockets work all the same.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF = 26, 51, 68

_LOAD_WORD, _LOAD_BYTE = 0x20, 0x30  # A = what is at k of the packet, which begins with the TCP header here
_AND, _MOD = 0x54, 0x94  # A &= k, A %= k
_JUMP_IF = 0x15  # over jt instructions when A is k, else over jf
_RETURN, _RETURN_A = 0x06, 0x16
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: loading from there gives a random number
_FLAGS, _SYN, _SYN_ACK = 13, 0x02, 0x12
_WHOLE, _DROP = 0xFFFFFFFF, 0

Place = tuple[int, Any]
"""What the sockets of a group have in common: the family and the address."""

log = logging.getLogger("fastnlb.master")


class Instruction(NamedTuple):
    """struct sock_filter"""

    code: int
    k: int = 0
    jt: int = 0
    jf: int = 0


def no_new_requests() -> list[Instruction]:
    """Drops what has SYN and not ACK: the first packet of a connection."""
    return [
        Instruction(_LOAD_BYTE, _FLAGS),
        Instruction(_AND, _SYN_ACK),
        Instruction(_JUMP_IF, _SYN, 0, 1),
        Instruction(_RETURN, _DROP),
        Instruction(_RETURN, _WHOLE),
    ]


def one_of(indexes: list[int]) -> list[Instruction]:
    """Any of these members of the group, each as often as the others."""
    draw = [Instruction(_LOAD_WORD, _RANDOM), Instruction(_MOD, len(indexes))]
    if indexes == list(range(len(indexes))):
        return [*draw, Instruction(_RETURN_A)]
    for number, index in enumerate(indexes):
        draw += [Instruction(_JUMP_IF, number, 0, 1), Instruction(_RETURN, index)]
    return [*draw, Instruction(_RETURN, indexes[0])]


def drop_new_requests(sock: socket.socket) -> None:
    """From now on no SYN reaches this listening socket, where the kernel lets us."""
    _attach(sock, SO_ATTACH_FILTER, no_new_requests(), {errno.EPERM: "it takes CAP_NET_ADMIN"})


class Groups:
    """The members of every group, in the kernel's order."""

    def __init__(self) -> None:
        self._members: dict[Place, list[socket.socket]] = {}
        self._place: dict[socket.socket, Place] = {}
        self._waiting: set[socket.socket] = set()
        self._going: set[socket.socket] = set()
        self._programs: dict[Place, list[int]] = {}  # the indexes that the program in force names

    def everyone(self) -> Iterator[socket.socket]:
        """The members of one group after the other, in order."""
        for members in self._members.values():
            yield from members

    def brace(self, member: socket.socket) -> None:
        """Another is about to be listened on, and gets nothing until it is chosen."""
        place = self._place[member]
        if place not in self._programs:
            self._aim(place, self._wanted(place))

    def join(self, sock: socket.socket) -> None:
        """It has just been listened on."""
        place = self._place[sock] = (sock.family, sock.getsockname())
        self._members.setdefault(place, []).append(sock)
        if place in self._programs:
            self._waiting.add(sock)

    def inherit(self, sock: socket.socket) -> None:
        """A predecessor has listened on it, in the order of these calls, and may have left a program on its group."""
        self.join(sock)
        with suppress(OSError):  # there is none
            sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0)

    def forget(self, sock: socket.socket) -> None:
        """It has just been closed."""
        self._waiting.discard(sock)
        self._going.discard(sock)
        place = self._place.pop(sock)
        members = self._members[place]
        members[members.index(sock)] = members[-1]
        members.pop()
        if not members:
            del self._members[place]
            self._programs.pop(place, None)

    def close(self, socks: Iterable[socket.socket]) -> None:
        """Closes sockets that were going."""
        # From the last: so those that are left move as little as can be.
        order = sorted(socks, key=lambda sock: self._members[self._place[sock]].index(sock), reverse=True)
        places = {self._place[sock] for sock in order}
        for sock in order:
            drop_new_requests(sock)
        for sock in order:
            sock.close()
            self.forget(sock)
        # Not detached: a child that is being forked has copies for a moment, and the kernel's hash would find them.
        for place in places & self._members.keys():
            self._aim(place, self._wanted(place))

    def arrange(
        self,
        *,
        chosen: Iterable[socket.socket] = (),
        waiting: Iterable[socket.socket] = (),
        going: Iterable[socket.socket] = (),
    ) -> None:
        """These are so from now on, and the others what they were."""
        chosen, waiting, going = set(chosen), set(waiting), set(going)
        self._waiting = (self._waiting | waiting) - chosen - going
        self._going |= going
        self._arrange({self._place[sock] for sock in chosen | waiting | going})

    def _arrange(self, places: Iterable[Place]) -> None:
        for place in places & self._members.keys():
            wanted = self._wanted(place)
            members = self._members[place]
            if not wanted:
                for sock in members:
                    drop_new_requests(sock)
            elif len(wanted) < len(members):
                self._aim(place, wanted)
            elif self._programs.pop(place, None) is not None:
                _set_option(members[0], SO_DETACH_REUSEPORT_BPF, struct.pack("=i", 0), {})

    def _wanted(self, place: Place) -> list[int]:
        """The indexes of those that may be chosen; better one that is waiting than none."""
        staying = [(at, sock) for at, sock in enumerate(self._members[place]) if sock not in self._going]
        return [at for at, sock in staying if sock not in self._waiting] or [at for at, _ in staying]

    def _aim(self, place: Place, wanted: list[int]) -> None:
        if wanted and self._programs.get(place) != wanted:
            _attach(self._members[place][0], SO_ATTACH_REUSEPORT_CBPF, one_of(wanted), {})
            self._programs[place] = wanted


def _attach(sock: socket.socket, option: int, program: list[Instruction], lacking: dict[int, str]) -> None:
    code = b"".join(struct.pack("=HBBI", each.code, each.jt, each.jf, each.k) for each in program)
    body = ctypes.create_string_buffer(code, len(code))
    _set_option(sock, option, struct.pack("@HP", len(program), ctypes.addressof(body)), lacking)  # struct sock_fprog


_told: set[int] = set()


def _set_option(sock: socket.socket, option: int, value: bytes, lacking: dict[int, str]) -> None:
    """`lacking` are the errors that are to be expected, in words."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    except OSError as error:
        if option not in _told:
            _told.add(option)
            level = logging.INFO if error.errno in lacking else logging.WARNING
            why = lacking.get(error.errno or 0) or error.strerror or error
            log.log(
                level, "listening sockets that go may reset a client: the kernel takes no filter on them: %s", why
            )
