"""A closed loop of new connections to a daemon in front of an echo server, in which any loss shows.

    with closed_loop(port) as load:
        load.wait_more(200)         # what is done to the daemon comes here
        ...
    assert load.failures == []

A few clients, each with one connection at a time: connect, handshake with `tls`, send bytes that nobody else sends,
read them back, end the stream and see it end.  What is refused, reset, late, cut short or wrong is a Failure with the
step it came in, its errno and when.  Bounded in time and number, and paced, so that the ports of the machine last.
The clients are threads: they start in the network namespace of the thread that enters the block.
"""

from __future__ import annotations

import errno
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.procs import wait_for

CLIENTS = 4
PATIENCE = 8.0  # seconds that one step of a connection may take: a lost SYN comes again after 1, 3 and 7
LONGEST = 20_000  # bytes: what fits into the buffers on the way, so that nobody has to send and receive at once
_BODY = random.Random(7).randbytes(LONGEST)  # noqa: S311 - to be repeatable is all that is asked of it
_HEAD = struct.Struct("!IQ")


@dataclass(frozen=True, slots=True)
class Failure:
    """`at`: seconds since the loop began; `step`: connect, handshake, send, receive, end; `number`: an errno or 0."""

    at: float
    step: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.at:.3f} s: {self.step}: {errno.errorcode.get(self.number, '')} {self.what}"


@dataclass
class Load:
    """What the clients have done so far.  `slowest` is the longest that one connection took, in seconds."""

    address: tuple[str, int]
    tls: bool
    most: int
    deadline: float
    pause: float
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    slowest: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    _begun: int = 0
    _stopped: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_more(self, connections: int) -> None:
        """Until so many more have ended, well or not; fails when the loop is at its bound before that."""
        wanted = self.done + len(self.failures) + connections

        def enough() -> bool:
            assert not self._over(), f"the loop is over with {self.done} connections: {self.failures[:5]}"
            return self.done + len(self.failures) >= wanted

        wait_for(enough, f"{connections} more connections", seconds=60)

    def stop(self) -> None:
        """No connection is begun any more."""
        self._stopped = True

    def _over(self) -> bool:
        return self._begun >= self.most or time.monotonic() > self.deadline

    def client(self, number: int) -> None:
        """The life of one."""
        rounds = 0
        while not self._stopped and not self._over():
            rounds += 1
            visit = _Visit(self, _HEAD.pack(number, rounds))
            with self._lock:
                self._begun += 1
            began = time.monotonic()
            try:
                visit.make()
            except (OSError, AssertionError) as error:
                self._failed(visit.step, error)
            else:
                self._succeeded(time.monotonic() - began)
            time.sleep(self.pause)

    def _succeeded(self, seconds: float) -> None:
        with self._lock:
            self.done += 1
            self.slowest = max(self.slowest, seconds)

    def _failed(self, step: str, error: Exception) -> None:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        with self._lock:
            failure = Failure(time.monotonic() - self.began, step, number, f"{type(error).__name__}: {error}")
            self.failures.append(failure)


class _Visit:
    """One connection; `step` is where it is."""

    def __init__(self, load: Load, head: bytes) -> None:
        self.step = "connect"
        self._load = load
        size = _HEAD.unpack(head)[1] * 7919 % (LONGEST - len(head))  # now a byte, now many
        self._bytes = head + _BODY[:size]

    def make(self) -> None:
        with socket.create_connection(self._load.address, timeout=PATIENCE) as sock:
            if not self._load.tls:
                self._echo(sock)
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b"", "more came back than was sent"
                return
            self.step = "handshake"
            with _context().wrap_socket(sock) as secured:
                self._echo(secured)
                secured.unwrap()  # raises what is no close_notify

    def _echo(self, sock: socket.socket) -> None:
        self.step = "send"
        sock.sendall(self._bytes)
        self.step = "receive"
        came = b""
        while len(came) < len(self._bytes):
            data = sock.recv(65536)
            assert data, f"the stream ended after {len(came)} of {len(self._bytes)} bytes"
            came += data
        assert came == self._bytes, "wrong bytes"
        self.step = "end"


def _context() -> ssl.SSLContext:
    """A new one each time: every handshake is a whole one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def closed_loop(
    port: int,
    tls: bool = False,
    *,
    host: str = "127.0.0.1",
    clients: int = CLIENTS,
    most: int = 20_000,
    seconds: float = 60.0,
    pause: float = 0.002,
) -> Iterator[Load]:
    """The loop runs for the length of the block, and is over, with all its connections, behind it.

    `most` connections and `seconds` are the bounds; `pause` is between two connections of a client.
    """
    load = Load((host, port), tls, most, time.monotonic() + seconds, pause)
    threads = [threading.Thread(target=load.client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join(5 * PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a client of the loop hangs"
    assert load.done, f"the loop made no connection: {load.failures[:5]}"
