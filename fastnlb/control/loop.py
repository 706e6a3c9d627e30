"""asyncio's loop as the control process needs it: it notices when it was held up, and takes sockets like a selector.

`make_loop` gives a loop that calls back, before any event, when it did not look at its sockets for longer than it
meant to.  `Registry` is the part of a selector that health checks and look-ups use; `LoopRegistry` is that on a loop,
with a call after each batch of events.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Protocol

LATE = 0.5  # seconds that the loop is away from its sockets, from which on it is held up

OnEvents = Callable[[int], None]
"""Called with what a descriptor is ready for: EVENT_READ, EVENT_WRITE; for both, once for each."""


class Descriptor(Protocol):
    def fileno(self) -> int: ...


class Registry(Protocol):
    """Who waits for which descriptor; `data` is an OnEvents.  A selector is one as well."""

    def register(self, fileobj: int | Descriptor, events: int, data: OnEvents) -> object: ...

    def modify(self, fileobj: int | Descriptor, events: int, data: OnEvents) -> object: ...

    def unregister(self, fileobj: int | Descriptor) -> object: ...


class _Watchful(selectors.EpollSelector):
    """Compares the time it is called at with the time it should be."""

    def __init__(self, on_held_up: Callable[[], None]) -> None:
        super().__init__()
        self._on_held_up = on_held_up
        self._left = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        entered = time.monotonic()
        ready = super().select(timeout)
        now = time.monotonic()
        slept_late = timeout is not None and now - entered > LATE + max(0.0, timeout)
        if entered - self._left > LATE or slept_late:
            self._on_held_up()
        self._left = now
        return ready


def make_loop(on_held_up: Callable[[], None]) -> asyncio.AbstractEventLoop:
    """A new loop; `on_held_up` is called when it was away from its sockets for too long, before their events."""
    return asyncio.SelectorEventLoop(_Watchful(on_held_up))


class LoopRegistry:
    """A Registry on `loop`; `after` is called once for all events of a turn, behind them.

    What either raises ends up in `fail`: asyncio would only log it and go on.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, after: Callable[[], None], fail: Callable[[BaseException], None]
    ) -> None:
        self._loop = loop
        self._after = after
        self._fail = fail
        self._due = False

    def register(self, fileobj: int | Descriptor, events: int, data: OnEvents) -> None:
        self.modify(fileobj, events, data)

    def modify(self, fileobj: int | Descriptor, events: int, data: OnEvents) -> None:
        fd = _number(fileobj)
        if events & selectors.EVENT_READ:
            self._loop.add_reader(fd, self._on_ready, data, selectors.EVENT_READ)
        else:
            self._loop.remove_reader(fd)
        if events & selectors.EVENT_WRITE:
            self._loop.add_writer(fd, self._on_ready, data, selectors.EVENT_WRITE)
        else:
            self._loop.remove_writer(fd)

    def unregister(self, fileobj: int | Descriptor) -> None:
        fd = _number(fileobj)
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)

    def wake(self) -> None:
        """Has `after` called, as if there had been an event."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn)

    def _on_ready(self, on_events: OnEvents, events: int) -> None:
        try:
            on_events(events)
        except Exception as error:
            self._fail(error)
        self.wake()

    def _turn(self) -> None:
        self._due = False
        try:
            self._after()
        except Exception as error:
            self._fail(error)


def _number(fileobj: int | Descriptor) -> int:
    return fileobj if isinstance(fileobj, int) else fileobj.fileno()
