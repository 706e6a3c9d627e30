"""The life of the control process: a loop over its channel to the master and the clock.

Reading a configuration may hold the loop up for seconds, which harms nobody: traffic is the workers' and the master
does not wait.  Signals are the master's business.  The end of the channel means that the master is gone, and there is
nothing to be in control of: exit at once.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import time
from collections.abc import Callable
from typing import Protocol

from fastnlb.channel import Channel, ChannelClosed, ChannelError, Frame, decode_offer, read_payload
from fastnlb.config.load import Loaded
from fastnlb.control.reload import Loader, Reloads
from fastnlb.control.watch import Watch

DONE = 0
FIRST_RETRY = 1.0  # seconds, doubled up to the longest
LONGEST_RETRY = 60.0


class Seat(Protocol):
    """What the master gives a child."""

    @property
    def channel(self) -> Channel: ...


def main(seat: Seat, *, loader: Loader, accepted: Loaded) -> int:
    """Serve the master until it says otherwise; returns the exit code.

    `accepted` is what `loader` read for the start of the daemon.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with contextlib.closing(Control(seat.channel, loader, accepted)) as control:
            control.serve()
    except ChannelClosed:
        pass
    return DONE


class Control:
    """Frames and time in, calls of Reloads out."""

    def __init__(self, channel: Channel, loader: Loader, accepted: Loaded) -> None:
        self._channel = channel
        self._reloads = Reloads(loader, accepted, channel)
        self._watched = self._reloads.paths
        self._watch = Watch(self._watched)
        self._next_look = 0.0
        self._next_retry: float | None = None
        self._retry_delay = FIRST_RETRY
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "current": self._on_current,
            "reload": lambda _frame: self._reloads.on_reload(),
            "outcome": lambda frame: self._reloads.on_outcome(frame.fields["serial"], frame.fields["accepted"]),
            "stop": self._on_stop,
        }

    def serve(self) -> None:
        """Until `stop`.  Raises ChannelClosed when the master is gone, ChannelError when it makes no sense."""
        self._selector.register(self._channel, selectors.EVENT_READ, self._on_channel)
        self._channel.send("booted")
        self._plan_look()
        while True:
            for key, events in self._selector.select(self._timeout()):
                key.data(events)
            if self._stopping:
                return
            self._look()
            self._retry()
            self._reloads.turn()
            self._follow()
            self._poll_for_writing()

    def close(self) -> None:
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
        self._reloads.on_current(frame.fields["generation"], decode_offer(read_payload(frame.fds[0])).snapshot)

    def _on_stop(self, _frame: Frame) -> None:
        self._stopping = True

    def _poll_for_writing(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.pending else 0)
        if self._selector.get_key(self._channel).events != events:
            self._selector.modify(self._channel, events, self._on_channel)

    # Time

    def _timeout(self) -> float | None:
        next_look = None if self._watch.interval is None else self._next_look
        times = [each for each in (next_look, self._next_retry) if each is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _look(self) -> None:
        if self._watch.interval is None or time.monotonic() < self._next_look:
            return
        if self._watch.settled():
            self._reloads.on_refresh()
        self._plan_look()

    def _retry(self) -> None:
        """A stale loader does not know all the files whose change would be a reason to try again."""
        if not self._reloads.stale:
            self._next_retry, self._retry_delay = None, FIRST_RETRY
            return
        now = time.monotonic()
        if self._next_retry is not None and now < self._next_retry:
            return
        if self._next_retry is not None:
            self._reloads.on_refresh()
        self._next_retry = now + self._retry_delay
        self._retry_delay = min(2 * self._retry_delay, LONGEST_RETRY)

    def _plan_look(self) -> None:
        self._next_look = time.monotonic() + (self._watch.interval or 0.0)

    def _follow(self) -> None:
        if self._reloads.paths is not self._watched:
            self._watched = self._reloads.paths
            self._watch.follow(self._watched)
            self._plan_look()
            if self._watched:
                # What was changed after it had been read and before this look at it would never show.
                self._reloads.on_refresh()
                self._reloads.turn()
