"""The life of the control process: an asyncio loop over its channel to the master, health checks, HTTP and the clock.

Reading a configuration may hold the loop up for seconds.  Traffic is the workers' and the master does not wait;
health checks do, and are told, so that no server is blamed for it.  Host names are looked up beside it, in a thread.
Signals are the business of the master.  The end of the channel means that the master is gone, and there is nothing to
be in control of: exit at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import selectors
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastnlb.channel import Channel, ChannelClosed, ChannelError, Frame, decode_offer, read_payload
from fastnlb.control.commands import Commands, Outcome
from fastnlb.control.figures import Figures
from fastnlb.control.health import Checks
from fastnlb.control.launch import Door, Launch, Seat, Shared
from fastnlb.control.loop import LoopRegistry, make_loop
from fastnlb.control.metrics import Metrics
from fastnlb.control.names import NEVER, Names
from fastnlb.control.preview import preview
from fastnlb.control.proposals import Proposals
from fastnlb.control.resolver import Lookups
from fastnlb.control.source import origin
from fastnlb.control.status import status
from fastnlb.control.web import Web
from fastnlb.model import Offer

DONE = 0

log = logging.getLogger("fastnlb.control")


def main(seat: Seat, shared: Shared, launch: Launch, doors: list[Door]) -> int:
    """Serve the master until it says otherwise; returns the exit code.  `doors`: where clients come from."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ChannelClosed), contextlib.closing(Control(seat.channel, shared, launch)) as control:
        control.serve(doors)
    return DONE


class Control:
    """Frames, sockets and time in; calls of the Origin, the Checks and the Commands out."""

    def __init__(self, channel: Channel, shared: Shared, launch: Launch) -> None:
        self._channel = channel
        self.shared = shared
        self.settings = launch.settings
        self.start = launch.start
        self.offer = Offer(launch.snapshot)
        self.state: dict[str, Any] = {}
        self.loop = make_loop(self._on_held_up)
        self.loop.set_exception_handler(on_stray_error)
        self._ended: asyncio.Future[None] = self.loop.create_future()
        self._registry = LoopRegistry(self.loop, self._turn, self._fail)
        self._timer: asyncio.TimerHandle | None = None
        self._lookups = Lookups(self._registry)
        self.commands = Commands(self)
        self.figures = Figures()
        self.metrics = Metrics(
            shared.page,
            shared.board,
            shared.elder,
            offer=lambda: self.offer,
            state=lambda: self.state,
            figures=self.figures,
        )
        proposals = Proposals(self, Names(self._lookups))
        self.origin = origin(launch.start, self, proposals, self.commands.on_reload, self._on_reloaded)
        self._checks = Checks(shared.board, self._registry, on_probed=self.figures.probed)
        self._web: Web | None = None
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "current": self._on_current,
            "reload": self._on_reload,
            "outcome": lambda frame: self.origin.on_outcome(**frame.fields),
            "answer": lambda frame: self.commands.on_answer(**frame.fields),
            "state": self._on_state,
            "stop": self._on_stop,
        }

    def serve(self, doors: list[Door]) -> None:
        """Until `stop`.  Raises ChannelClosed when the master is gone, ChannelError when it makes no sense."""
        self._web = Web(self, doors) if doors else None
        self._registry.register(self._channel, selectors.EVENT_READ, self._on_channel)
        self.send("booted")
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        await self._ended
        self.commands.end()
        if self._web is not None:
            await self._web.close()

    def close(self) -> None:
        self._checks.close()
        self._lookups.close()
        self._channel.close()
        self.loop.close()

    # What the parts use

    def send(self, kind: str, fds: Iterable[int] = (), **fields: Any) -> None:
        """A frame for the master.  Raises ChannelClosed."""
        self._channel.send(kind, fds, **fields)
        self._registry.wake()

    def status(self) -> dict[str, Any]:
        shared, counters = self.shared, self.metrics.of_listeners()
        return status(self.state, self.offer, shared.page, shared.board, shared.elder, counters=counters)

    def preview(self, path: str) -> Outcome:
        """What a reload of the file at `path` would change."""
        accepted, lines = preview(path, self.offer.snapshot, self.settings)
        return Outcome(accepted, tuple(lines))

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of this loop; what it raises ends the process."""
        task = self.loop.create_task(work)
        task.add_done_callback(self._on_task_done)
        return task

    # Frames

    def _on_channel(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._channel.flush()
        while not self._ended.done() and (frame := self._channel.receive()) is not None:
            with contextlib.closing(frame):
                self._handle(frame)

    def _handle(self, frame: Frame) -> None:
        if frame.kind not in self._handlers:
            raise ChannelError(f"a {frame.kind} frame is not for the control process")
        self._handlers[frame.kind](frame)

    def _on_current(self, frame: Frame) -> None:
        self.offer = offer = decode_offer(read_payload(frame.fds[0]))
        self._checks.follow(offer)
        self.origin.on_current(frame.fields["generation"], offer.snapshot)

    def _on_reload(self, frame: Frame) -> None:
        self.origin.on_reload(frame.fields["whole"])

    def _on_reloaded(self, accepted: bool, lines: list[str], again: bool) -> None:
        self.figures.reloaded(accepted)
        self.commands.on_reloaded(accepted, lines, again)

    def _on_state(self, frame: Frame) -> None:
        self.state = frame.fields["state"]
        if self._web is not None:  # before, there is nothing to answer with
            self._web.open()

    def _on_stop(self, _frame: Frame) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    # The loop

    def _turn(self) -> None:
        if self._ended.done():
            return
        self._checks.turn()
        self.origin.turn()
        self._poll_for_writing()
        self._set_timer(min(self._checks.next_due(), self.origin.next_due()))

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due == NEVER else self.loop.call_at(due, self._registry.wake)

    def _poll_for_writing(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.pending else 0)
        self._registry.modify(self._channel, events, self._on_channel)

    def _on_held_up(self) -> None:
        self._checks.held_up()

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._fail(task.exception())

    def _fail(self, error: BaseException | None) -> None:
        if error is not None and not self._ended.done():
            self._ended.set_exception(error)


def on_stray_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would print with its traceback: nobody waits for it, and this process goes on."""
    error = context.get("exception")
    log.error("%s%s", context["message"], "" if error is None else f": {type(error).__name__}: {error}")
