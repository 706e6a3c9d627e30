"""One HTTP connection, by uvicorn, with patience that has an end.

Whoever takes longer than SLOWEST for a request, asks nothing for as long, or takes nothing of an answer for as long,
is cut off.  What is no HTTP is answered once, or cut off where no answer is possible any more.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol

SLOWEST = 30.0  # seconds

_PEER = struct.Struct("=3i")  # struct ucred: pid, uid, gid


class Connection(H11Protocol):
    """Over the admin socket the client is `uid:N`, as the kernel says."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            pid, uid, _ = _PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            self.client = (f"uid:{uid}", pid)
        self._request_timer = self._later(self._give_up)
        self._answer_timer: asyncio.TimerHandle | None = None
        self.silent_since = time.monotonic()
        self._last = False  # the next request is the last one

    @property
    def idle(self) -> bool:
        """Whether no whole request is here that is not answered yet."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def data_received(self, data: bytes) -> None:
        self.silent_since = time.monotonic()
        try:
            super().data_received(data)
        except Exception:  # h11 has no word for noise that follows an answer
            self.transport.abort()
            return
        if self._last and self.cycle is not None:
            self.cycle.keep_alive = False
        if self.idle:
            self._await_request()
        else:  # from now on it is us who take the time
            self._request_timer.cancel()

    def shutdown(self) -> None:
        """At the end: whoever has just come has a request on its way, and is answered."""
        if self.cycle is None:
            self._last = True
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():  # or the rest has to be read as well
            self._stop_awaiting_reader()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._await_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_timer.cancel()
        self._stop_awaiting_reader()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def _await_request(self) -> None:
        if self._request_timer.cancelled():
            self._request_timer = self._later(self._give_up)

    def _give_up(self) -> None:
        if self.idle:
            self.transport.abort()

    def _await_reader(self) -> None:
        if self._answer_timer is None:
            self._answer_timer = self._later(self._expect_less, self.transport.get_write_buffer_size())

    def _stop_awaiting_reader(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _expect_less(self, before: int) -> None:
        self._answer_timer = None
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._await_reader()

    def _later(self, call: Callable[..., None], *arguments: int) -> asyncio.TimerHandle:
        return self.loop.call_later(SLOWEST, call, *arguments)
