"""The life of the control process: a loop over its channel to the master, the sockets of health checks and the clock.

Reading a configuration may hold the loop up for seconds.  Traffic is the workers' and the master does not wait;
health checks do, and are told, so that no server is blamed for it.  Host names are looked up beside it, in a thread.
Signals are the business of the master.  The end of the channel means that the master is gone, and there is nothing to
be in control of: exit at once.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastnlb.board import Board
from fastnlb.channel import Channel, ChannelClosed, ChannelError, Frame, decode_offer, read_payload
from fastnlb.control.admin import Admin
from fastnlb.control.health import Checks
from fastnlb.control.http import HttpServer
from fastnlb.control.names import NEVER, Names
from fastnlb.control.preview import preview
from fastnlb.control.proposals import Proposals
from fastnlb.control.resolver import Lookups
from fastnlb.control.source import Start, origin
from fastnlb.control.status import status
from fastnlb.model import Offer, Snapshot
from fastnlb.stats.page import Page

DONE = 0
LATE = 0.5  # seconds that the loop is away from its sockets, from which on it is held up


class Seat(Protocol):
    """What the master gives a child."""

    @property
    def channel(self) -> Channel: ...


class Listening(Protocol):
    """What the master keeps of the admin socket."""

    @property
    def listening(self) -> socket.socket: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """Memory of all processes of the daemon; `elder` has the counters of the one that this one took over from."""

    board: Board
    page: Page
    elder: Page | None = None


def main(seat: Seat, *, shared: Shared, start: Start | None = None, admin: Listening | None = None) -> int:
    """Serve the master until it says otherwise; returns the exit code.

    `start` is where the configuration came from, None when from no file; `admin` is where commands come from.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        listener = None if admin is None else admin.listening
        with contextlib.closing(Control(seat.channel, shared, start, listener)) as control:
            control.serve()
    except ChannelClosed:
        pass
    return DONE


class Control:
    """Frames, sockets and time in; calls of the Origin, the Checks and the Admin out."""

    def __init__(self, channel: Channel, shared: Shared, start: Start | None, listener: socket.socket | None) -> None:
        self._channel = channel
        self._shared = shared
        self._offer = Offer(Snapshot())
        self._state: dict[str, Any] = {}
        self._running_with = None if start is None else start.accepted.settings
        self._selector = selectors.DefaultSelector()
        self._lookups = Lookups(self._selector)
        self._admin = Admin(channel, self._status, self._preview)
        self._origin = origin(start, channel, Proposals(channel, Names(self._lookups)), self._admin.on_reloaded)
        self._checks = Checks(shared.board, self._selector)
        self._listener = listener
        self._http: HttpServer | None = None
        self._stopping = False
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "current": self._on_current,
            "reload": self._on_reload,
            "outcome": lambda frame: self._origin.on_outcome(**frame.fields),
            "answer": lambda frame: self._admin.on_answer(**frame.fields),
            "state": self._on_state,
            "stop": self._on_stop,
        }

    def serve(self) -> None:
        """Until `stop`.  Raises ChannelClosed when the master is gone, ChannelError when it makes no sense."""
        self._selector.register(self._channel, selectors.EVENT_READ, self._on_channel)
        self._channel.send("booted")
        seen = time.monotonic()
        while True:
            timeout = self._timeout()
            ready = self._selector.select(timeout)
            now = time.monotonic()
            if now - seen > LATE + (timeout or 0.0):
                self._checks.held_up()
            seen = now
            for key, events in ready:
                key.data(events)
            if self._stopping:
                return
            self._checks.turn()
            self._origin.turn()
            self._poll_for_writing()

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
        self._checks.close()
        self._lookups.close()
        self._selector.close()
        self._channel.close()

    # Frames

    def _on_channel(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._channel.flush()
        while not self._stopping and (frame := self._channel.receive()) is not None:
            with contextlib.closing(frame):
                self._handle(frame)

    def _handle(self, frame: Frame) -> None:
        if frame.kind not in self._handlers:
            raise ChannelError(f"a {frame.kind} frame is not for the control process")
        self._handlers[frame.kind](frame)

    def _on_current(self, frame: Frame) -> None:
        self._offer = offer = decode_offer(read_payload(frame.fds[0]))
        self._checks.follow(offer)
        self._origin.on_current(frame.fields["generation"], offer.snapshot)

    def _on_reload(self, _frame: Frame) -> None:
        self._admin.on_reload()
        self._origin.on_reload()

    def _on_state(self, frame: Frame) -> None:
        self._state = frame.fields["state"]
        if self._http is None and self._listener is not None:  # before, there is nothing to answer with
            self._http = HttpServer(self._listener, self._selector, self._admin.handle)

    def _status(self) -> dict[str, Any]:
        return status(self._state, self._offer, self._shared.page, self._shared.board, self._shared.elder)

    def _preview(self, path: str) -> tuple[bool, list[str]]:
        return preview(path, self._offer.snapshot, self._running_with)

    def _on_stop(self, _frame: Frame) -> None:
        self._stopping = True

    def _poll_for_writing(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.pending else 0)
        if self._selector.get_key(self._channel).events != events:
            self._selector.modify(self._channel, events, self._on_channel)

    def _timeout(self) -> float | None:
        due = min(self._checks.next_due(), self._origin.next_due())
        return None if due == NEVER else max(0.0, due - time.monotonic())
