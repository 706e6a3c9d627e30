"""The thread that looks host names up: an event loop of its own, and a task for each question.

One thread is enough for any number of names that nobody answers for.  To be imported only where there are names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from fastnlb.control.answer import Answer, failed
from fastnlb.control.lookup import Lookup
from fastnlb.model import Resolver

STOP_SECONDS = 2.0

LookUp = Callable[[str, Resolver], Awaitable[Answer]]


class ResolverThread:
    """It runs from here on.  `post` is called in it with each answer.  Raises RuntimeError or OSError."""

    def __init__(self, post: Callable[[str, Answer], None], look_up: LookUp | None = None) -> None:
        self._post = post
        self._look_up = look_up or Lookup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        # A daemon thread: what it is doing must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="resolver", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise

    def ask(self, name: str, settings: Resolver) -> None:
        self._loop.call_soon_threadsafe(self._start, name, settings)

    def stop(self) -> bool:
        """Gives up what is under way.  Whether the thread has ended, which it does unless something is stuck."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    # In the thread

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._give_up())
            self._loop.close()

    def _start(self, name: str, settings: Resolver) -> None:
        task = self._loop.create_task(self._answer(name, settings))
        self._tasks.add(task)  # the loop alone would not keep it alive
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, name: str, settings: Resolver) -> None:
        try:
            answer = await self._look_up(name, settings)
        except Exception as error:
            answer = failed(f"{type(error).__name__}: {error}")
        self._post(name, answer)

    async def _give_up(self) -> None:
        """Lets go of the sockets, too."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
