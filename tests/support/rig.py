"""An Engine in a thread of the test, between real clients and real servers of the test.

The Engine releases the GIL while it serves, so clients and servers may be threads beside it.  Closing a rig waits
for the last connection to end and then demands that everything it allocated has been given back.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from fastnlb._core.defs import StopReason
from fastnlb._core.engine import Engine
from fastnlb.board import LISTENER_CELLS, SERVER_CELLS
from fastnlb.model import UNIX, Server
from fastnlb.stats.ledger import Ledger, Section
from fastnlb.stats.table import NUMBERS
from fastnlb.tls.binding import addresses, context_address
from fastnlb.worker.orders import SCHEDULERS, Orders
from support.procs import wait_for
from support.tls_client import TlsClient

HOST = "127.0.0.1"
POOLS = ("buffers_lent", "large_buffers_lent", "pipes_lent")


def held(numbers: Mapping[str, int]) -> int:
    """Buffers and pipes that hold bytes in flight."""
    return sum(numbers[name] for name in POOLS)


def listening_socket() -> socket.socket:
    sock = socket.create_server((HOST, 0), backlog=1024)
    sock.setblocking(False)
    return sock


def one_context(context: Any) -> tuple[Any, ...]:
    """The core's TLS fields for a context that is front and inner at once, without names."""
    address = context_address(context)
    return (address, bytes(32), 0, 0, 0, False, b"", False, [(address, [], [])], [])


NO_LIMITS = (0, 0)


def group_fields(
    servers: list[tuple[str, int]],
    weights: Sequence[int] | None = None,
    scheduler: str = "wrr",
    drain_ms: int = -1,
    cells: Sequence[int] | None = None,
    preserve: bool = False,
) -> tuple[Any, ...]:
    """The core's fields of a group; those of weight 0 come last, cells are numbered from 0."""
    weights = weights or [1] * len(servers)
    weighted = tuple(Server(*server, weight) for server, weight in zip(servers, weights, strict=True) if weight)
    found = [(*each, weight, cell) for each, weight, cell in zip(servers, weights, cells or count(), strict=False)]
    return SCHEDULERS[scheduler], found, Orders().of(scheduler, weighted), drain_ms, preserve


class Rig:
    """One listener, `servers` behind it: plain TCP, or TLS under `context`, or as the core fields in `tls` say.

    `limits` are cps and max_connections of it; more than one pair makes as many listeners alike, at `addresses`.
    `group` has what group_fields takes besides the servers.
    """

    def __init__(
        self,
        servers: list[tuple[str, int]],
        context: Any = None,
        *,
        handshake_ms: int = 10_000,
        connect_ms: int = 5_000,
        idle_ms: int = 900_000,
        descriptor_limit: int = 20_000,
        handshake_limit: int = 16_384,
        tls: tuple[Any, ...] | None = None,
        board: tuple[int, int, int] | None = None,
        limits: Sequence[tuple[int, int]] = (NO_LIMITS,),
        group: dict[str, Any] | None = None,
        proxy: tuple[Any, ...] | None = None,
    ) -> None:
        self.ledger = Ledger.create(1, LISTENER_CELLS, SERVER_CELLS)
        self.engine = Engine(
            addresses(),
            board=board,
            ledger=self.ledger.addresses(0),
            descriptor_limit=descriptor_limit,
            handshake_limit=handshake_limit,
        )
        self.context = context
        listeners = [listening_socket() for _ in limits]
        self.addresses = [listener.getsockname() for listener in listeners]
        self.address = self.addresses[0]
        self.port = self.address[1]
        self._fields = (0, one_context(context) if context else tls, handshake_ms, connect_ms, idle_ms)
        self._proxy = proxy
        self._group = group_fields(servers, **(group or {}))
        self._configure(1, limits, {_name(cell): each.detach() for cell, each in enumerate(listeners)})
        self._wake_read, self._wake_write = socket.socketpair()
        self.engine.watch(self._wake_read.fileno())
        self.stop_reasons: list[StopReason] = []
        self._clients: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self.start()

    def _configure(self, generation: int, limits: Sequence[tuple[int, int]], sockets: dict[str, int]) -> None:
        names = [_name(cell) for cell, _ in enumerate(limits)]
        listeners = [
            ([name], (*self._fields, cell, *pair, name.encode(), self._proxy))
            for cell, (name, pair) in enumerate(zip(names, limits, strict=True))
        ]
        self.engine.prepare(generation, listeners, [self._group], sockets)
        self.engine.commit()

    def limit(self, *limits: tuple[int, int]) -> None:
        """The limits of each listener from now on, as a reload changes them."""
        with self.paused() as engine:
            self._configure(max(engine.generations()) + 1, limits, {})

    def start(self) -> None:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            reason = self.engine.run()
            self.stop_reasons.append(reason)
            if reason == StopReason.STOP_NOTICE:
                self.engine.notice()
            elif reason == StopReason.STOP_WATCH:
                self._wake_read.recv(1)
                return
            elif reason != StopReason.STOP_PARTED:
                return

    def pause(self) -> None:
        """Bring the engine back to Python; it serves nothing until start()."""
        assert self._thread is not None
        if self._thread.is_alive():
            self._wake_write.send(b"x")
        self._thread.join(10)
        assert not self._thread.is_alive()

    @contextlib.contextmanager
    def paused(self) -> Iterator[Engine]:
        self.pause()
        yield self.engine
        self.start()

    def connect(self, listener: int = 0) -> socket.socket:
        """A client's socket; closed with the rig at the latest."""
        sock = socket.create_connection(self.addresses[listener][:2], timeout=20)
        self._clients.append(sock)
        return sock

    def adopt(self, sock: socket.socket) -> None:
        """Close this client's socket with the rig at the latest."""
        self._clients.append(sock)

    def tls_client(self, version: str = "TLSv1.3", **options: int) -> TlsClient:
        """A client whose handshake has not begun; closed with the rig at the latest."""
        client = TlsClient(self.address, version, **options)
        self._clients.append(client.socket)
        return client

    def counters(self) -> dict[str, int]:
        return {number.name: value for number, value in zip(NUMBERS, self.engine.counters(), strict=True)}

    def of_listener(self, listener: int = 0) -> dict[str, int]:
        """What was counted for it, without the zeros."""
        return _block(self.ledger.listeners, listener)

    def of_server(self, cell: int = 0) -> dict[str, int]:
        """Likewise."""
        return _block(self.ledger.servers, cell)

    def wait_for(self, seconds: float = 15, **expected: int) -> None:
        """Until each counter named has at least the value given."""
        self._wait(lambda: all(self.counters()[name] >= value for name, value in expected.items()), expected, seconds)

    def wait_idle(self, seconds: float = 15) -> None:
        """Until no connection is open."""
        self._wait(lambda: self.counters()["connections"] == 0, {"connections": 0}, seconds)

    def wait_nothing_held(self, seconds: float = 15) -> None:
        """Until no connection is open and the turn that closed the last has given back all it held."""
        names = ("connections", "descriptors", *POOLS, "tls_objects", "tls_resting", "timers")
        self._wait(lambda: not any(self.counters()[name] for name in names), dict.fromkeys(names, 0), seconds)

    def _wait(self, condition: Callable[[], bool], expected: dict[str, int], seconds: float) -> None:
        try:
            wait_for(condition, "", seconds)
        except AssertionError:
            raise AssertionError(f"wanted {expected} within {seconds} s, have {self.counters()}") from None

    def close_clients(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()

    def close(self) -> None:
        self.close_clients()
        try:
            self.wait_idle()
            self.pause()
            counts = self.engine.debug_counts()
            numbers = self.counters()
        finally:
            if self._thread is not None and self._thread.is_alive():
                self.pause()
            self.engine.close()
            self._wake_read.close()
            self._wake_write.close()
        assert counts == dict.fromkeys(counts, 0), counts
        closed = sum(value for name, value in numbers.items() if name.startswith("closed_"))
        assert closed == numbers["accepted"], numbers
        try:
            _assert_adds_up(self.ledger, numbers)
        finally:
            self.ledger.close()


def _block(section: Section, cell: int) -> dict[str, int]:
    return {name: value for name, value in zip(section.numbers, section.sum(cell), strict=True) if value}


def _assert_adds_up(ledger: Ledger, numbers: dict[str, int]) -> None:
    """Listeners and servers have together what the worker has, and none of them has a connection left."""
    listeners = [dict(zip(ledger.listeners.numbers, each, strict=True)) for each in ledger.listeners.sums().values()]
    servers = [dict(zip(ledger.servers.numbers, each, strict=True)) for each in ledger.servers.sums().values()]
    assert not any(each["connections"] for each in (*listeners, *servers)), (listeners, servers)
    for name, value in numbers.items():
        if listeners and name in listeners[0] and name != "connections":
            assert sum(each[name] for each in listeners) == value, name
    assert sum(each["connects"] for each in servers) == numbers["connects"]
    assert sum(sum(each[f"failed_{how}"] for how in HOW) for each in servers) == numbers["connects_failed"]
    assert sum(_sum(each, "handshakes_") for each in listeners) == numbers["handshakes"]
    for kind in ("cipher_", "group_", "handshake_bucket_"):
        assert sum(_sum(each, kind) for each in listeners) == numbers["handshakes"], kind
    failed = numbers["handshakes_failed"] + numbers["handshakes_aborted"] + numbers["handshakes_timed_out"]
    failed += numbers["handshakes_shed"] + numbers["handshakes_evicted"]
    assert sum(_sum(each, "failed_") for each in listeners) <= failed


HOW = ("refused", "timed_out", "not_begun")


def _sum(numbers: dict[str, int], prefix: str) -> int:
    return sum(value for name, value in numbers.items() if name.startswith(prefix))


def _name(listener: int) -> str:
    return f"l{listener or ''}"


class Backend:
    """A server of the test, TCP or at `unix:/path`: `handler(sock)` runs in a thread for each connection."""

    def __init__(self, handler: Callable[[socket.socket], None], host: str = HOST, port: int = 0) -> None:
        self._handler = handler
        self._listener = _server_socket(host, port)
        self.address: tuple[str, int] = (host, 0) if host.startswith(UNIX) else self._listener.getsockname()[:2]
        self.accepted: list[socket.socket] = []
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(30)
            self.accepted.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            self._handler(sock)
        except (ConnectionError, TimeoutError):
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        for sock in self.accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        assert not self.errors, self.errors


def _server_socket(host: str, port: int) -> socket.socket:
    if host.startswith(UNIX):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(host.removeprefix(UNIX))
        listener.listen(1024)
        return listener
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), backlog=1024, family=family)


def echo(sock: socket.socket) -> None:
    """Send back what comes, and end when the client has ended."""
    while data := sock.recv(65536):
        sock.sendall(data)


def receive_all(sock: Any) -> bytes:
    """Everything up to the end of the stream."""
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)
