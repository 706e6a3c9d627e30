"""A range of ports on one listening socket: the kernel is told to give the socket connections for all of them.

The telling is an sk_lookup program (Linux 5.9): the kernel runs it for a packet that belongs to no connection yet,
before it looks for a listening socket, and the program may name one.  It is two dozen instructions, assembled here.

    map     a SOCKMAP with one place: the socket, or nothing while the range is only being prepared
    program  asks: my protocol, family, port, address?  then gives the packet to the socket in the map
    link    makes the program part of this network namespace, for as long as a descriptor of it is open

`Steering` prepares and disturbs nobody; `aim` makes it work and `close` ends it.  The socket may be any member of a
SO_REUSEPORT group: the kernel then chooses among the members, as it does without us.  Several programs may be
attached, and the oldest of those that want a packet gets it: a range that grows is served by its old program until
that one is closed.

The descriptors are the master's alone.  A forked child closes its copies, or the range would outlive its listener.
What is overridden: a listening socket of another program on a port of the range is not asked.  Who opens a range
therefore looks for such sockets first (`suspects`); one that comes later gets nothing.  See docs/decisions/0013.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LACKING = {
    errno.EPERM: "it takes CAP_NET_ADMIN and CAP_BPF",
    errno.EACCES: "it takes CAP_NET_ADMIN and CAP_BPF",
    errno.ENOSYS: "this system has no bpf() that fastnlb knows",
    errno.EINVAL: "this kernel has no sk_lookup programs (Linux 5.9)",
    errno.E2BIG: "this network namespace has as many sk_lookup programs as it takes",
}
"""Why a range cannot be steered, where the system's own words would not say it."""

_BPF_CALL = {"x86_64": 321, "aarch64": 280}  # the number of the system call

_MAP_CREATE, _MAP_UPDATE, _MAP_DELETE, _PROG_LOAD, _LINK_CREATE = 0, 2, 3, 5, 28  # enum bpf_cmd
_SOCKMAP = 15  # enum bpf_map_type
_PROG_SK_LOOKUP, _ATTACH_SK_LOOKUP = 30, 36  # enum bpf_prog_type, enum bpf_attach_type
_NAME = b"fastnlb_range"  # what `bpftool link` and `bpftool map` show
_LICENSE = b"Apache-2.0"  # the helpers in use ask for no other

# struct bpf_sk_lookup: addresses in network order, the port in the machine's.
_FAMILY, _PROTOCOL, _LOCAL_IP4, _LOCAL_IP6, _LOCAL_PORT = 8, 12, 40, 44, 60
_SK_PASS = 1
_LOOKUP_ELEM, _SK_RELEASE, _SK_ASSIGN = 1, 86, 124  # enum bpf_func_id


class Instruction(NamedTuple):
    """One instruction: `dst` and `src` are registers; a jump with `offset` NOT_OURS goes to that label."""

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    number: int = 0


NOT_OURS = -1

# Opcodes: class (2 bits of size or kind above it), see the kernel's Documentation/bpf/standardization.
_LOAD32 = 0x61  # dst = 32 bits at src + offset
_STORE32 = 0x62  # 32 bits at dst + offset = number
_MOVE, _COPY, _ADD = 0xB7, 0xBF, 0x07  # dst = number; dst = src; dst += number
_MAP = 0x18  # dst = the map whose descriptor is number (src 1 says so); takes two instructions
_UNLESS32 = 0x56  # jump if the lower 32 bits of dst are not number
_BELOW32, _ABOVE32 = 0xA6, 0x26  # jump if they are below, or above (unsigned)
_IF = 0x15  # jump if dst is number
_CALL, _EXIT = 0x85, 0x95


def instructions(address: str, first: int, last: int, map_fd: int) -> list[Instruction]:
    """The program for the ports `first` to `last` of an address, before its jumps are resolved."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    matches = [
        Instruction(_COPY, 6, 1),  # r6 = the context: calls destroy r1 to r5
        Instruction(_LOAD32, 2, 6, _PROTOCOL),
        Instruction(_UNLESS32, 2, 0, NOT_OURS, socket.IPPROTO_TCP),
        Instruction(_LOAD32, 2, 6, _FAMILY),
        Instruction(_UNLESS32, 2, 0, NOT_OURS, family),
        Instruction(_LOAD32, 2, 6, _LOCAL_PORT),
        Instruction(_BELOW32, 2, 0, NOT_OURS, first),
        Instruction(_ABOVE32, 2, 0, NOT_OURS, last),
    ]
    for offset, word in _address_words(family, address):
        matches += [Instruction(_LOAD32, 2, 6, offset), Instruction(_UNLESS32, 2, 0, NOT_OURS, word)]
    return [
        *matches,
        Instruction(_STORE32, 10, 0, -4, 0),  # the map's key, 0, on the stack (r10 is its end)
        Instruction(_COPY, 2, 10),
        Instruction(_ADD, 2, 0, 0, -4),
        Instruction(_MAP, 1, 1, 0, map_fd),
        Instruction(0),  # the second half of the one before
        Instruction(_CALL, 0, 0, 0, _LOOKUP_ELEM),  # r0 = bpf_map_lookup_elem(r1 = map, r2 = key)
        Instruction(_IF, 0, 0, NOT_OURS, 0),  # no socket in it
        Instruction(_COPY, 7, 0),
        Instruction(_COPY, 1, 6),
        Instruction(_COPY, 2, 7),
        Instruction(_MOVE, 3, 0, 0, 0),  # no flag: not in place of what another program chose, and with reuseport
        Instruction(_CALL, 0, 0, 0, _SK_ASSIGN),  # bpf_sk_assign(r1 = context, r2 = socket, r3 = flags)
        Instruction(_COPY, 1, 7),
        Instruction(_CALL, 0, 0, 0, _SK_RELEASE),  # bpf_sk_release(r1 = socket); the lookup took a reference
        Instruction(_MOVE, 0, 0, 0, _SK_PASS),  # NOT_OURS: the usual lookup goes on unless a socket was assigned
        Instruction(_EXIT),
    ]


def assemble(code: list[Instruction]) -> bytes:
    """Eight bytes an instruction; jumps count from the one behind them."""
    not_ours = len(code) - 2
    parts = []
    for at, (opcode, dst, src, offset, number) in enumerate(code):
        jump = not_ours - at - 1 if offset == NOT_OURS else offset
        parts.append(struct.pack("=BBhI", opcode, dst | src << 4, jump, number & 0xFFFFFFFF))
    return b"".join(parts)


class Steering:
    """The ports `first` to `last` of an address, steered to a socket from `aim` to `close`.  Raises OSError."""

    def __init__(
        self, address: str, first: int, last: int, sock: socket.socket, *, trial: socket.socket | None = None
    ) -> None:
        """`sock` is the one that `aim` will name; that the kernel takes it is found out now, with `trial` if that one
        does not listen yet.
        """
        self._sock = sock
        self._map = self._link = -1
        try:
            self._map = _bpf(_MAP_CREATE, struct.pack("=IIIII8x16s", _SOCKMAP, 4, 8, 1, 0, _NAME))
            self._name(trial or sock)
            _bpf(_MAP_DELETE, struct.pack("=I4xQ8x8x", self._map, _key()))
            program = _load(assemble(instructions(address, first, last, self._map)))
            try:
                self._link = _attach(program)
            finally:
                os.close(program)  # the link holds it
        except BaseException:
            self.close()
            raise

    def aim(self) -> None:
        """From now on: to its socket."""
        self._name(self._sock)

    def _name(self, sock: socket.socket) -> None:
        value = ctypes.create_string_buffer(struct.pack("=Q", sock.fileno()), 8)
        _bpf(_MAP_UPDATE, struct.pack("=I4xQQQ", self._map, _key(), ctypes.addressof(value), 0))

    def close(self) -> None:
        """In a forked child: no more than that its copies are closed.  Idempotent."""
        for fd in (self._link, self._map):
            if fd >= 0:
                os.close(fd)
        self._link = self._map = -1


def suspects(ports: Container[int], ours: Container[int]) -> Iterator[int]:
    """Those of `ports` on which somebody listens, on whatever address, with another socket than `ours` (inodes)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError), Path(table).open(encoding="ascii") as lines:
            next(lines, None)  # the head
            for line in lines:
                _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
                if state != "0A":
                    break  # listening sockets come first, and of the others there may be a million
                if (port := int(local.rpartition(":")[2], 16)) in ports and int(inode) not in ours:
                    yield port


_ZERO = ctypes.create_string_buffer(4)


def _key() -> int:
    return ctypes.addressof(_ZERO)


def _address_words(family: int, address: str) -> Iterator[tuple[int, int]]:
    """Where in the context which 32 bits must stand; nothing for the address of all interfaces."""
    packed = socket.inet_pton(family, address)
    start = _LOCAL_IP4 if family == socket.AF_INET else _LOCAL_IP6
    if any(packed):
        for at in range(0, len(packed), 4):
            yield start + at, int.from_bytes(packed[at : at + 4], sys.byteorder)


def _load(code: bytes) -> int:
    """The descriptor of the program."""
    body, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(_LICENSE)
    head = struct.pack("=IIQQ", _PROG_SK_LOOKUP, len(code) // 8, ctypes.addressof(body), ctypes.addressof(license_))
    # No log of the verifier: what it would say of these bytes, it says in the tests.
    return _bpf(_PROG_LOAD, head + struct.pack("=IIQII16sII", 0, 0, 0, 0, 0, _NAME, 0, _ATTACH_SK_LOOKUP))


def _attach(program: int) -> int:
    """The descriptor of the link to the network namespace of this process."""
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _bpf(_LINK_CREATE, struct.pack("=IIII", program, namespace, _ATTACH_SK_LOOKUP, 0))
    finally:
        os.close(namespace)


def _bpf(command: int, attributes: bytes) -> int:
    """The raw system call: what it returns, or OSError.  Descriptors it makes are closed on exec."""
    number = _BPF_CALL.get(os.uname().machine) if sys.maxsize > 2**32 else None
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    call = ctypes.CDLL(None, use_errno=True).syscall
    result = int(call(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes))))
    if result < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return result
