"""Look-ups beside the control process's loop: asked here, answered later, and never waited for.

One thread runs all look-ups, as tasks of an event loop of its own.  It begins with the first question, and so does
the loading of what it needs: a daemon without host names has neither.  Threads are allowed in this process because it
never forks.  The end of a look-up is told by a descriptor in the loop's selector.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fastnlb.control.answer import Answer, failed
from fastnlb.model import Resolver

CLOSE_SECONDS = 2.0

LookUp = Callable[[str, Resolver], Awaitable[Answer]]


def real_lookup() -> LookUp:
    """That of this system."""
    from fastnlb.control.lookup import Lookup  # noqa: PLC0415  80 ms and 10 MiB, which only host names are worth

    return Lookup()


class Lookups:
    """Questions go in by `ask`; `take` has the answers there are.  For one thread, which is not its own."""

    def __init__(self, selector: selectors.BaseSelector, make_lookup: Callable[[], LookUp] = real_lookup) -> None:
        self._selector = selector
        self._make_lookup = make_lookup
        self._look_up: LookUp | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._bell = -1
        self._answers: deque[tuple[str, Answer]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, name: str, settings: Resolver) -> None:
        """Exactly one answer will come, even if there is no thread to be had."""
        try:
            loop = self._loop or self._begin()
        except (OSError, RuntimeError, MemoryError) as error:
            self._answers.append((name, failed(f"cannot look it up now: {error}")))
            return
        loop.call_soon_threadsafe(self._start, name, settings)

    def take(self) -> list[tuple[str, Answer]]:
        """The answers since the last time, the oldest first."""
        return [self._answers.popleft() for _ in range(len(self._answers))]

    def close(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS)
            self._selector.unregister(self._bell)
            if not self._thread.is_alive():  # or it would ring at whatever has this number next
                os.close(self._bell)
            self._loop = None

    def _begin(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        try:
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._thread = threading.Thread(target=self._run, args=(loop,), name="resolver", daemon=True)
            try:
                self._thread.start()
            except BaseException:
                os.close(self._bell)
                raise
        except BaseException:
            loop.close()
            raise
        self._selector.register(self._bell, selectors.EVENT_READ, self._hush)
        self._loop = loop
        return loop

    def _hush(self, _events: int) -> None:
        """Whoever is woken by it asks for the answers anyway."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    # In the thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._give_up())
            loop.close()

    async def _give_up(self) -> None:
        """Ends the look-ups under way, and lets go of their sockets."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, name: str, settings: Resolver) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(name, settings))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, name: str, settings: Resolver) -> None:
        try:
            if self._look_up is None:
                self._look_up = self._make_lookup()
            answer = await self._look_up(name, settings)
        except Exception as error:
            answer = failed(f"{type(error).__name__}: {error}")
        self._answers.append((name, answer))
        os.eventfd_write(self._bell, 1)
