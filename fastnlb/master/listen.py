"""One listening socket: the address is looked at, bound and listened on as the data plane wants it.

A socket is one of a SO_REUSEPORT group.  The option would share a port with another program of the same user, so
`probe` comes first, and between the two nobody of us opens the same port (`sole_opener`).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastnlb.model import Listener, place

BACKLOG = 4096
START_PATIENCE = 0.5  # seconds that workers of a master which was killed may take to let go of a port
LOCK_PATIENCE = 1.0  # seconds another fastnlb may take to open the same port

_REASONS = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
    errno.EADDRNOTAVAIL: "this address is not on this machine",
    errno.EAFNOSUPPORT: "this machine has no IPv6",
}


log = logging.getLogger("fastnlb.master")


class CannotListen(Exception):  # noqa: N818 - reads as what it says
    """A listener's address, or one of its ports, cannot be had; nothing was opened."""

    def __init__(self, listener: str, address: str, port: int, reason: str, last_port: int = 0) -> None:
        super().__init__(f"listener {listener}: cannot listen on {place(address, port, last_port)}: {reason}")
        self.listener, self.address, self.port, self.reason = listener, address, port, reason


def try_options(listener: Listener) -> None:
    """Raises CannotListen when the kernel does not take the options of this listener."""
    try:
        with _socket(listener) as sock:
            set_mss(sock, listener)
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise CannotListen(listener.name, listener.address, listener.port, reason) from error


@contextmanager
def refusal(listener: Listener, port: int) -> Iterator[None]:
    """OSError as CannotListen."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or str(error.strerror or error).lower()
        raise CannotListen(listener.name, listener.address, port, reason) from error


@contextmanager
def sole_opener(port: int) -> Iterator[None]:
    """Between probe and listen no other fastnlb opens the port: both would find it free, and then share it.

    An abstract socket name is per network namespace, as ports are, and goes with the process.  Anybody can hold it,
    so it is waited for, and then done without.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        name = f"fastnlb-opens-port-{port}"
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                lock.bind(f"\0{name}")
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            if time.monotonic() > deadline:
                log.warning("port %d is opened without the abstract socket %r: another process holds it", port, name)
                break
            time.sleep(0.01)
        yield


def probe(listener: Listener, port: int, patience: float = 0.0) -> None:
    """Raises OSError when another program listens on the address, and still does after `patience` seconds.

    With SO_REUSEPORT the bind would succeed beside another program of this user that has it set too, and the
    two would silently share the connections.  Without it, a listening socket in the way is an error.
    SO_REUSEADDR keeps connections that a predecessor left behind (TIME_WAIT, or still draining) out of it.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            with _socket(listener) as sock:
                sock.bind((listener.address, port))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def listen(listener: Listener, port: int) -> socket.socket:
    sock = bind(listener, port)
    try:
        begin(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def begin(sock: socket.socket) -> None:
    """Listens on a socket that `bind` made; from now on connections queue on it."""
    sock.listen(_backlog())


def bind(listener: Listener, port: int) -> socket.socket:
    """The socket, which has its address and gets no connection yet."""
    sock = _socket(listener)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit it, which saves a system call per connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if listener.mss:
            set_mss(sock, listener)
        sock.bind((listener.address, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def set_mss(sock: socket.socket, listener: Listener) -> None:
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


def overlap(listener: Listener, sock: socket.socket) -> bool:
    """Of sockets on the same port."""
    address = sock.getsockname()[0]
    if sock.family != _family(listener.address):
        return False
    wildcards = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
    return address in wildcards or listener.address in wildcards or _packed(address) == _packed(listener.address)


def is_at(sock: socket.socket, address: str) -> bool:
    return sock.family == _family(address) and _packed(sock.getsockname()[0]) == _packed(address)


def listens_at(sock: socket.socket, address: str, port: int) -> bool:
    """Whether a socket from somebody else is the listening one that it is said to be."""
    try:
        kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(
            kind == socket.SOCK_STREAM and listening and is_at(sock, address) and sock.getsockname()[1] == port
        )
    except (OSError, ValueError):
        return False


def _packed(address: str) -> bytes:
    literal, _, _ = address.partition("%")
    return socket.inet_pton(_family(literal), literal)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _backlog() -> int:
    """Ours, or the kernel's limit where that is lower: it would cut silently."""
    try:
        return min(BACKLOG, int(Path("/proc/sys/net/core/somaxconn").read_text("ascii")))
    except (OSError, ValueError):
        return min(BACKLOG, socket.SOMAXCONN if os.name == "posix" else BACKLOG)
