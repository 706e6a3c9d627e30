"""Look-ups beside the control process's loop: asked here, answered later, and never waited for.

They run in one thread (`resolver_thread`), which begins with the first question, and so does the loading of what it
needs: a daemon without host names has neither.  Threads are allowed in this process because it never forks.  The end
of a look-up is told by a descriptor in the loop's selector.
"""

from __future__ import annotations

import os
import selectors
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from fastnlb.control.answer import Answer, failed
from fastnlb.control.loop import Registry
from fastnlb.model import Resolver

if TYPE_CHECKING:
    from fastnlb.control.resolver_thread import LookUp, ResolverThread


class Lookups:
    """Questions go in by `ask`; `take` has the answers there are.  For the loop's thread.  `look_up` is for tests."""

    def __init__(self, selector: Registry, look_up: LookUp | None = None) -> None:
        self._selector = selector
        self._look_up = look_up
        self._thread: ResolverThread | None = None
        self._bell = -1
        self._answers: deque[tuple[str, Answer]] = deque()

    def ask(self, name: str, settings: Resolver) -> None:
        """Exactly one answer will come, even if there is no thread to be had."""
        try:
            thread = self._thread or self._begin()
        except Exception as error:
            self._answers.append((name, failed(f"cannot look it up now: {error}")))
            return
        thread.ask(name, settings)

    def take(self) -> list[tuple[str, Answer]]:
        """The answers since the last time, the oldest first."""
        return [self._answers.popleft() for _ in range(len(self._answers))]

    def close(self) -> None:
        """What is under way is given up."""
        if self._thread is None:
            return
        ended = self._thread.stop()
        self._selector.unregister(self._bell)
        if ended:  # or it would ring at whatever has this number next
            os.close(self._bell)
        self._thread = None

    def _begin(self) -> ResolverThread:
        from fastnlb.control.resolver_thread import ResolverThread  # noqa: PLC0415  0.1 s that only names are worth

        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._thread = ResolverThread(self._post, self._look_up)
        except BaseException:
            os.close(self._bell)
            raise
        self._selector.register(self._bell, selectors.EVENT_READ, self._hush)
        return self._thread

    def _hush(self, _events: int) -> None:
        """Whoever is woken by it asks for the answers anyway."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def _post(self, name: str, answer: Answer) -> None:
        """Called in the other thread."""
        self._answers.append((name, answer))
        os.eventfd_write(self._bell, 1)
