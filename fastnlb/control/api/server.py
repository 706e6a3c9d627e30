"""HTTP/1.1 on the sockets of the daemon, in the loop of the control process.

One server for each door, so that the application knows by which of them a request has come, and so that clients of
one cannot take the places of the other's.  uvicorn reads and answers requests; signals, clocks and the accepting of
clients stay out of its hands: signals are the master's business, a daemon that is not asked is not to wake up, and a
client counts from its first packet on, not from the end of its handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from fastnlb.control.api.app import make_app
from fastnlb.control.api.connection import SLOWEST, Connection
from fastnlb.control.api.counted import Counted
from fastnlb.control.api.gate import Gate
from fastnlb.control.api.identity import AdminTls
from fastnlb.control.launch import Door

if TYPE_CHECKING:
    from fastnlb.control.run import Control

MOST_CLIENTS = 256
MOST_NEWCOMERS = 64  # of them before the end of their handshake, as soon as all places are taken
HANDSHAKE_SECONDS = 10.0
FAREWELL = 0.5  # seconds for answers that are under way
MOST_HEADER_BYTES = 64 * 1024
RECOVERY = 1.0  # seconds without new clients, when there are no descriptors for them

log = logging.getLogger("fastnlb.control")


class Servers:
    """All doors of a daemon; from `open` to `close`."""

    def __init__(self, control: Control, doors: Sequence[Door]) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)  # mistakes of clients are answered
        app = make_app(control)
        self._tls = AdminTls(control) if control.settings.admin_certificate else None
        counted = ((Counted(Gate(app, control, door), control.figures), door) for door in doors)
        self._servers = [(_Server(self._config(each, door)), door) for each, door in counted]

    async def open(self) -> None:
        for server, door in self._servers:
            # A copy: closing the server must not close what the master will hand on.
            await server.begin(door.listening.dup())

    async def close(self) -> None:
        """No more clients; those that wait for an answer get it, if it comes soon."""
        await asyncio.gather(*(server.end() for server, _ in self._servers))

    def _config(self, app: Counted, door: Door) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(SLOWEST),
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            ssl_context_factory=self._context if self._tls is not None and not door.trusted else None,
        )

    def _context(self, _config: uvicorn.Config, _default: Any) -> ssl.SSLContext:
        assert self._tls is not None  # noqa: S101 - for the type checker
        return self._tls.context()


class _Server(uvicorn.Server):
    """The state of one door, and its accept loop; uvicorn's own would take over signals and wake up all the time."""

    async def begin(self, listening: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._newcomers: dict[asyncio.Task[None], None] = {}  # the oldest first
        listening.setblocking(False)
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        self.servers = []
        await self.on_tick(0)  # what every answer's headers begin with
        self._welcome()

    async def end(self) -> None:
        self._loop.remove_reader(self._listening)
        if self._newcomers:
            _, late = await asyncio.wait(self._newcomers, timeout=FAREWELL / 2)
            for task in late:
                task.cancel()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.shutdown(sockets=[self._listening]), FAREWELL)

    def _welcome(self) -> None:
        if self._listening.fileno() >= 0:  # not at the end
            self._loop.add_reader(self._listening, self._on_client)

    def _on_client(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # it would be so at once again
            log.error("cannot accept clients of the API, for now: %s", error.strerror or error)
            self._loop.remove_reader(self._listening)
            self._loop.call_later(RECOVERY, self._welcome)
            return
        if not self._make_room():
            sock.close()
            return
        sock.setblocking(False)
        task = self._loop.create_task(self._begin(sock))
        self._newcomers[task] = None
        task.add_done_callback(lambda done: self._newcomers.pop(done, None))

    def _make_room(self) -> bool:
        """Whether one more may come: whoever takes longest to begin TLS goes for it, or asked nothing for longest."""
        clients = cast("set[Connection]", self.server_state.connections)
        if len(clients) + len(self._newcomers) < MOST_CLIENTS:
            return True
        idle = [each for each in clients if each.idle and not each.transport.is_closing()]
        if self._newcomers and (len(self._newcomers) > MOST_NEWCOMERS or not idle):
            oldest = next(iter(self._newcomers))
            oldest.cancel()
            del self._newcomers[oldest]
            return True
        if idle:
            min(idle, key=lambda each: each.silent_since).transport.abort()
        return bool(idle)

    async def _begin(self, sock: socket.socket) -> None:
        patience = None if self.config.ssl is None else HANDSHAKE_SECONDS
        with contextlib.suppress(OSError):  # it went, or speaks no TLS
            await self._loop.connect_accepted_socket(
                self._connection, sock, ssl=self.config.ssl, ssl_handshake_timeout=patience
            )

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)
