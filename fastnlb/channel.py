"""The control channel between the master and one child: one end of a SOCK_SEQPACKET socket pair.

A frame is one packet: a JSON header, and descriptors beside it (SCM_RIGHTS).  Packets keep their borders
and their order, so there is no parser here, only checks.

    from    kind      fields               descriptors, and what it says
    master  sockets   generation, ports    listening sockets: `ports` has a list of ports for each listener by name,
                                           and the descriptors are in that order; adds to those of that generation.
                                           A port of a listener that the worker already has: replaces it at commit
    master  prepare   generation           one memfd: the Offer; behind it what the access log is written to, if
                                           there is one.  Answer `prepared` or `refused`
    master  commit    generation           serve it; close the sockets it no longer has; answer `applied`
    master  rollback  generation           forget it, and close the sockets that came with it
    master  reopened                       what the access log is written to from now on, in place of what it was
    master  drain     seconds              accept nothing more, finish within that time, `drained`, exit 0
    master  retire    generation, seconds  the same, but its sockets part first: they go with that generation
    master  stop                           exit 0 at once
    worker  booted                         ready for the first `sockets`
    worker  prepared  generation           `commit` cannot fail now
    worker  refused   generation, message  this Snapshot cannot be served; the old one still is
    worker  applied   generation           accepting on exactly its listeners
    worker  parted    generation           sockets that went with it, or before, are closed now
    worker  drained                        no connection is left; exits now
    worker  notice    level, message       a line for the log (levels as in `logging`, lower case)

The same between the master and the control process, which decides what is to be served and asks for it:

    master  current   generation           one memfd: the Offer in force.  First of all, and after every change; of
                                           one this process proposed, before its `outcome`.  Generation 1: the start
    master  reload    whole                read the configuration again, propose, then answer `reloaded`.  Not whole:
                                           for what is staged, and the number of workers stays what it is
    master  outcome   serial, accepted,    the end of that proposal; `message` says why it was refused, and then
                      message              nothing has changed
    master  state     state                the daemon as `fastnlb status` shows it: its processes; after every change
    master  answer    serial, accepted,    the end of what was asked; `message` says why not, or what came of it
                      message
    master  stop                           exit 0 at once
    control booted                         ready for `current`
    control ask       serial, what         do it (`reload`, `change`, `upgrade`, `stop`); answered with `answer`
    control propose   serial               one memfd: the Snapshot to serve.  Answer `outcome`
    control workers   count                so many, from now on: what was read by a reload that went well
    control reloaded                       the reload is over, whatever came of it
    control notice    level, message       as above

The same between a master and the successor it has exec'ed (hot restart; master/upgrade.py and master/inherit.py):

    old     heritage  heritage             what there is to know, and the descriptors that it names, same order
    old     rows      rows                 listening sockets: [listener, port, row] of each, same order
    old     health    health               what is known of servers: [group, address, port, health, reason] of each;
                                           a frame for some of them, like `rows`
    old     handed                         that was all
    new     ready     unserved             every worker of it accepts; in these rows there are sockets that none does
    new     failed    message              it ends, and has not taken anything
    old     released                       nothing of the old one accepts any more, and its pid file is free
    old     abort                          nobody wants a successor any more: exit

`drain`, `retire`, `stop` and end of file (the other process is gone) may come in any state.  `rollback` may name a
generation that was refused, or never fully sent.  Which child may say what is for the receiver to judge.

Who owns a descriptor: those given to `send` stay the caller's; those in a received Frame are the receiver's.
A frame that breaks the table is refused whole and its descriptors are closed here.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import pickle
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from fastnlb.model import Offer, Snapshot

MAX_FDS = 200  # the kernel takes 253 in one message
MAX_HEADER = 128 * 1024  # must stay below the smallest usual socket buffer (208 KiB)
MAX_MESSAGE = 16_000  # characters of a `message`: the first ones say what is wrong

_TYPES: dict[str, type | tuple[type, ...]] = {
    "generation": int,
    "serial": int,
    "count": int,
    "accepted": bool,
    "whole": bool,
    "ports": dict,
    "seconds": (int, float),
    "level": str,
    "message": str,
    "what": str,
    "state": dict,
    "heritage": dict,
    "rows": list,
    "health": list,
    "unserved": list,
}
_FRAMES: dict[str, tuple[set[str], int]] = {
    "sockets": ({"generation", "ports"}, MAX_FDS),
    "prepare": ({"generation"}, 2),
    "commit": ({"generation"}, 0),
    "rollback": ({"generation"}, 0),
    "reopened": (set(), 1),
    "drain": ({"seconds"}, 0),
    "retire": ({"generation", "seconds"}, 0),
    "stop": (set(), 0),
    "booted": (set(), 0),
    "prepared": ({"generation"}, 0),
    "refused": ({"generation", "message"}, 0),
    "applied": ({"generation"}, 0),
    "parted": ({"generation"}, 0),
    "drained": (set(), 0),
    "notice": ({"level", "message"}, 0),
    "current": ({"generation"}, 1),
    "reload": ({"whole"}, 0),
    "outcome": ({"serial", "accepted", "message"}, 0),
    "state": ({"state"}, 0),
    "answer": ({"serial", "accepted", "message"}, 0),
    "propose": ({"serial"}, 1),
    "ask": ({"serial", "what"}, 0),
    "workers": ({"count"}, 0),
    "reloaded": (set(), 0),
    "heritage": ({"heritage"}, MAX_FDS),
    "rows": ({"rows"}, MAX_FDS),
    "health": ({"health"}, 0),
    "handed": (set(), 0),
    "ready": ({"unserved"}, 0),
    "failed": ({"message"}, 0),
    "released": (set(), 0),
    "abort": (set(), 0),
}


T = TypeVar("T")


class ChannelClosed(Exception):  # noqa: N818 - an event, not always an error
    """The other end is closed: its process is gone, or gave up."""


class ChannelError(Exception):
    """The other end broke the protocol; nothing it says can be relied on any more."""


class DescriptorsLost(ChannelError):  # noqa: N818 - what happened, and not the fault of the other end
    """A frame came without all of its descriptors, as this process has no room for them; those that came are closed.

    The rest of it is as it was sent: whoever can do without says so to the other end, and goes on.
    """

    def __init__(self, kind: str, fields: dict[str, Any]) -> None:
        super().__init__(f"frame {kind}: this process has no room for its descriptors")
        self.kind, self.fields = kind, fields


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.  Whoever receives it owns `fds`."""

    kind: str
    fields: dict[str, Any]
    fds: tuple[int, ...] = ()

    def close(self) -> None:
        """Closes the descriptors: for a receiver that does not want them."""
        _close_all(self.fds)


class Channel:
    """One end.  Never blocks: what the kernel does not take waits in the outbox until `flush`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()

    def fileno(self) -> int:
        """The descriptor to poll: for reading always, for writing while `pending`.  -1 once closed."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether frames wait for the socket to become writable."""
        return bool(self._outbox)

    def send(self, kind: str, fds: Iterable[int] = (), **fields: Any) -> None:
        """Sends a frame, or keeps it for `flush`.  Raises ChannelClosed, or ValueError for a frame off the table."""
        descriptors = tuple(fds)
        header = _encode(kind, fields, len(descriptors))
        if self._outbox or not self._try_send(header, descriptors):
            # The caller may close its descriptors as soon as we return.
            self._outbox.append((header, _duplicate(descriptors)))

    def flush(self) -> None:
        """Sends what waits, as far as the kernel takes it."""
        while self._outbox and self._try_send(*self._outbox[0]):
            _close_all(self._outbox.popleft()[1])

    def receive(self) -> Frame | None:
        """The next frame; None when there is none yet.  Raises ChannelClosed at the end, ChannelError on nonsense,
        DescriptorsLost on a frame that had no room.
        """
        try:
            data, fds, flags = self._receive_packet()
        except BlockingIOError:
            return None
        if not data and not fds:
            raise ChannelClosed("the other end of the control channel is closed")
        try:
            return _decode(data, fds, flags)
        except ChannelError:
            _close_all(fds)
            raise

    def close(self) -> None:
        """Closes this end and drops what waits.  Idempotent."""
        self._socket.close()
        while self._outbox:
            _close_all(self._outbox.popleft()[1])

    def _try_send(self, header: bytes, fds: tuple[int, ...]) -> bool:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._socket.sendmsg([header], ancillary, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosed("the other end of the control channel is closed") from error
        return True

    def _receive_packet(self) -> tuple[bytes, tuple[int, ...], int]:
        room = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
        while True:
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(MAX_HEADER, room, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:
                # The peer left with frames of ours unread.  The kernel says so before it hands out what the
                # peer had sent, and its last words (`refused`) matter: ask again, the end of file follows.
                continue
            return data, _descriptors(ancillary), flags


def channel_pair() -> tuple[Channel, Channel]:
    """Two connected ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    return Channel(ours), Channel(theirs)


def payload_descriptor(data: bytes) -> int:
    """A sealed memfd with `data`: too large for a packet, and safe to share as nobody can change it any more."""
    fd = os.memfd_create("fastnlb-payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_payload(fd: int) -> bytes:
    """All of a payload; `fd` stays open and the caller's."""
    # pread: every process that was sent this descriptor shares one file offset.
    size, parts, offset = os.fstat(fd).st_size, [], 0
    while offset < size:
        part = os.pread(fd, size - offset, offset)
        if not part:
            raise ChannelError("a payload is shorter than its size")
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The Snapshot as payload bytes."""
    return pickle.dumps(snapshot, protocol=pickle.HIGHEST_PROTOCOL)


def decode_snapshot(data: bytes) -> Snapshot:
    """The Snapshot in payload bytes.  Raises ChannelError."""
    return _decode_payload(data, Snapshot)


def encode_offer(offer: Offer) -> bytes:
    """The Offer as payload bytes."""
    return pickle.dumps(offer, protocol=pickle.HIGHEST_PROTOCOL)


def decode_offer(data: bytes) -> Offer:
    """The Offer in payload bytes.  Raises ChannelError."""
    return _decode_payload(data, Offer)


def _decode_payload(data: bytes, kind: type[T]) -> T:
    """Pickle executes what it reads.  That is fine here and nowhere else: the bytes come over a private socket pair
    from a process that this program forked, which runs the same code on the same secrets.
    """
    payload = pickle.loads(data)  # noqa: S301 - see above
    if not isinstance(payload, kind):
        raise ChannelError(f"a payload is not a {kind.__name__}")
    return payload


def _encode(kind: str, fields: dict[str, Any], fd_count: int) -> bytes:
    if "message" in fields:
        fields["message"] = str(fields["message"])[:MAX_MESSAGE]
    fault = _fault(kind, fields, fd_count)
    header = json.dumps({"kind": kind, **fields}, ensure_ascii=False).encode("utf-8", "replace")
    if fault is None and len(header) > MAX_HEADER:
        fault = f"its header has {len(header)} bytes"
    if fault is not None:
        raise ValueError(f"frame {kind}: {fault}")
    return header


def _decode(data: bytes, fds: tuple[int, ...], flags: int) -> Frame:
    short = bool(flags & socket.MSG_CTRUNC)
    if flags & socket.MSG_TRUNC or (short and len(fds) >= MAX_FDS):
        raise ChannelError("a frame was cut off: it is too large")
    try:
        fields = json.loads(data)
        kind = fields.pop("kind")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChannelError("a frame is not a JSON object with a kind") from error
    fault = _fault(kind, fields, None if short else len(fds))
    if fault is not None:
        raise ChannelError(f"frame {kind}: {fault}")
    if short:
        raise DescriptorsLost(kind, fields)
    return Frame(kind, fields, fds)


def _fault(kind: Any, fields: dict[str, Any], fd_count: int | None) -> str | None:
    """What is wrong with a frame by the table, or None.  `fd_count` None: whatever came, more was sent."""
    if not isinstance(kind, str) or kind not in _FRAMES:
        return "no such kind"
    names, max_fds = _FRAMES[kind]
    if set(fields) != names:
        return f"has the fields {sorted(fields)}, not {sorted(names)}"
    for name, value in fields.items():
        # To Python a bool is a number as well.
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool) != (_TYPES[name] is bool):
            return f"the field {name} is a {type(value).__name__}"
    if fd_count is None or (kind == "prepare" and fd_count == 1):  # one: without an access log
        return None
    expected = _descriptors_named(kind, fields, max_fds)
    return None if fd_count == expected <= max_fds else f"comes with {fd_count} descriptors"


def _descriptors_named(kind: str, fields: dict[str, Any], otherwise: int) -> int:
    match kind:
        case "sockets":
            return sum(map(_length, fields["ports"].values()))
        case "rows":
            return len(fields["rows"]) if all(map(_is_row, fields["rows"])) else -1
        case "heritage":
            names = fields["heritage"].get("descriptors")
            return len(names) if isinstance(names, list) else -1
        case _:
            return otherwise


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and [type(each) for each in row] == [str, int, int]


def _length(ports: Any) -> int:
    """Of what is no list of ports: so that no number of descriptors fits."""
    return len(ports) if isinstance(ports, list) and all(isinstance(port, int) for port in ports) else -MAX_FDS


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return tuple(found)


def _duplicate(fds: tuple[int, ...]) -> tuple[int, ...]:
    copies: list[int] = []
    try:
        for fd in fds:
            copies.append(os.dup(fd))  # one by one: what was made must be closed when one fails
    except OSError:
        _close_all(copies)
        raise
    return tuple(copies)


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        with suppress(OSError):
            os.close(fd)
