"""The listening sockets: one per (listener name, worker index), all made and kept by the master.

The sockets of one listener form a SO_REUSEPORT group, over which the kernel spreads new connections.  A worker
works on a duplicate of its socket; the connections queued on it outlive the worker because the master's copy
stays open for as long as the listener is configured.  Closing the last copy resets what waits in the queue.

`open_rows` stages, `adopt` makes it the truth (a commit), `close_rows` drops it (a rollback), `close_retired`
closes what the adopted state no longer has, once no worker uses it.  Opening is all or nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastnlb.model import Listener, Snapshot

BACKLOG = 4096
KEEPALIVE_IDLE = 60
"""Seconds: a client that is gone without a word shows long before the longest idle timeout.  As in _core/dial.pyx."""
KEEPALIVE_INTERVAL = 15
LOCK_PATIENCE = 1.0  # seconds another fastnlb may take to open the same port

Key = tuple[str, int]
Rows = dict[Key, socket.socket]

_REASONS = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
    errno.EADDRNOTAVAIL: "this address is not on this machine",
    errno.EAFNOSUPPORT: "this machine has no IPv6",
}


class CannotListen(Exception):  # noqa: N818 - reads as what it says
    """A listener's address cannot be had; nothing was opened."""

    def __init__(self, listener: str, address: str, port: int, reason: str) -> None:
        super().__init__(f"listener {listener}: cannot listen on {_endpoint(address, port)}: {reason}")
        self.listener, self.address, self.port, self.reason = listener, address, port, reason


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """What a change means for the sockets.  A listener that moved to another address is opened and closed; `tunes`
    are those that keep their sockets and need other options on them.
    """

    opens: tuple[Listener, ...]
    closes: tuple[str, ...]
    tunes: tuple[Listener, ...] = ()


def plan_sockets(old: Snapshot, new: Snapshot) -> SocketPlan:
    """The difference between the listeners that accept in `old` and in `new`."""
    before = {listener.name: (listener.address, listener.port) for listener in old.active_listeners()}
    after = {listener.name: (listener.address, listener.port) for listener in new.active_listeners()}
    opens = tuple(each for each in new.active_listeners() if before.get(each.name) != after[each.name])
    closes = tuple(name for name, endpoint in before.items() if after.get(name) != endpoint)
    mss = {listener.name: listener.mss for listener in old.active_listeners()}
    tunes = tuple(each for each in new.active_listeners() if each not in opens and mss[each.name] != each.mss)
    return SocketPlan(opens, closes, tunes)


class SocketTable:
    """The master's copies of every listening socket."""

    def __init__(self) -> None:
        self._rows: Rows = {}
        self._retired: list[socket.socket] = []

    def open_rows(self, listeners: Iterable[Listener], count: int) -> Rows:
        """Listening sockets for `count` workers on each listener; the caller's until `adopt`.  Or CannotListen."""
        opened: Rows = {}
        try:
            for listener in listeners:
                self._open_group(listener, count, opened)
        except BaseException:
            close_rows(opened)
            raise
        return opened

    def row(self, index: int) -> dict[str, socket.socket]:
        """What worker `index` serves, by listener name."""
        return {name: sock for (name, each), sock in self._rows.items() if each == index}

    def adopt(self, opened: Rows, closes: Iterable[str] = ()) -> None:
        """Takes in what `open_rows` made, and retires the sockets of `closes`: still open, but in no row."""
        for name in closes:
            self._retired += self._pop(name)
        self._rows.update(opened)

    def tune(self, listener: Listener) -> None:
        """Gives the sockets of a listener its options, for connections to come; raises nothing after `try_options`.

        The workers' copies are the same open sockets.
        """
        for (name, _), sock in self._rows.items():
            if name == listener.name:
                _set_mss(sock, listener)

    def close(self, name: str) -> None:
        """Closes every socket of one listener."""
        for sock in self._pop(name):
            sock.close()

    def close_retired(self) -> None:
        """Closes what `adopt` retired."""
        while self._retired:
            self._retired.pop().close()

    def close_all(self) -> None:
        """Closes everything."""
        self.close_retired()
        close_rows(self._rows)
        self._rows.clear()

    def _pop(self, name: str) -> list[socket.socket]:
        return [self._rows.pop(key) for key in [key for key in self._rows if key[0] == name]]

    def _open_group(self, listener: Listener, count: int, opened: Rows) -> None:
        try:
            with _sole_opener(listener.port):
                if not self._ours(listener, opened):
                    _probe(listener)
                for index in range(count):
                    opened[listener.name, index] = _listen(listener)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0) or str(error.strerror or error).lower()
            raise CannotListen(listener.name, listener.address, listener.port, reason) from error

    def _ours(self, listener: Listener, opened: Rows) -> bool:
        """Whether a socket of this process already holds the address, so that a probe would only find ourselves."""
        return any(_overlap(listener, sock) for sock in self._held(opened))

    def _held(self, opened: Mapping[Key, socket.socket]) -> Iterator[socket.socket]:
        yield from self._rows.values()
        yield from self._retired
        yield from opened.values()


def try_options(listener: Listener) -> None:
    """Raises CannotListen when the kernel does not take the options of this listener."""
    try:
        with _socket(listener) as sock:
            _set_mss(sock, listener)
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise CannotListen(listener.name, listener.address, listener.port, reason) from error


def close_rows(rows: Rows) -> None:
    """Closes staged sockets: the rollback of `open_rows`."""
    for sock in rows.values():
        sock.close()


@contextmanager
def _sole_opener(port: int) -> Iterator[None]:
    """Between probe and listen no other fastnlb opens the port: both would find it free, and then share it.

    An abstract socket name is per network namespace, as ports are, and goes with the process.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                lock.bind(f"\0fastnlb-opens-port-{port}")
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield


def _probe(listener: Listener) -> None:
    """Raises OSError when another program listens on the address.

    With SO_REUSEPORT the bind would succeed beside another program of this user that has it set too, and the
    two would silently share the connections.  Without it, a listening socket in the way is an error.
    SO_REUSEADDR keeps connections that a predecessor left behind (TIME_WAIT, or still draining) out of it.
    """
    with _socket(listener) as sock:
        sock.bind((listener.address, listener.port))


def _listen(listener: Listener) -> socket.socket:
    sock = _socket(listener)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit them, which saves system calls per connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
        if listener.mss:
            _set_mss(sock, listener)
        sock.bind((listener.address, listener.port))
        sock.listen(_backlog())
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_mss(sock: socket.socket, listener: Listener) -> None:
    """0 takes back what was set before."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, listener.mss)
    except OSError as error:
        raise OSError(error.errno, f"the kernel does not take an mss of {listener.mss}") from error


def _socket(listener: Listener) -> socket.socket:
    family = _family(listener.address)
    sock = socket.socket(family, socket.SOCK_STREAM)  # Python sets CLOEXEC
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _overlap(listener: Listener, sock: socket.socket) -> bool:
    address, port = sock.getsockname()[:2]
    if sock.family != _family(listener.address) or port != listener.port:
        return False
    wildcards = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
    return address in wildcards or listener.address in wildcards or _packed(address) == _packed(listener.address)


def _packed(address: str) -> bytes:
    literal, _, _ = address.partition("%")
    return socket.inet_pton(_family(literal), literal)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _backlog() -> int:
    """Ours, or the kernel's limit where that is lower: it would cut silently."""
    try:
        return min(BACKLOG, int(Path("/proc/sys/net/core/somaxconn").read_text("ascii")))
    except (OSError, ValueError):
        return min(BACKLOG, socket.SOMAXCONN if os.name == "posix" else BACKLOG)
