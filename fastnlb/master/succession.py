"""Who was master before this process, and who will be after it: hot restarts as the arbiter's loop sees them.

Forwards, a request waits until no change is under way, then `estate` is handed to a successor; `give_way` is called
when that one serves.  Backwards, a successor announces itself once it serves, and waits until it is `alone`: master
without a second one that accepts.
"""

from __future__ import annotations

import logging
import os
import selectors
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from fastnlb.channel import ChannelClosed, ChannelError
from fastnlb.master.inherit import Predecessor
from fastnlb.master.steward import Answer
from fastnlb.master.upgrade import Command, Estate, Upgrade

log = logging.getLogger("fastnlb.master")


class Succession:
    """`can_begin` says whether anything is under way that has to end first; `on_failed` hears when it came to
    nothing; `on_alone` that the predecessor has let go, `on_gone` that it has ended, and `on_abort` that nobody wants
    this process any more.
    """

    def __init__(
        self,
        command: Command | None,
        predecessor: Predecessor | None,
        selector: selectors.BaseSelector,
        disinherit: Callable[[], None],
        *,
        can_begin: Callable[[], bool],
        estate: Callable[[], Estate],
        give_way: Callable[[int, list[int]], None],
        on_failed: Callable[[], None],
        on_alone: Callable[[], None],
        on_gone: Callable[[], None],
        on_abort: Callable[[], None],
    ) -> None:
        self._predecessor = predecessor
        self._selector = selector
        self._can_begin = can_begin
        self._estate = estate
        self._give_way = give_way
        self._on_failed = on_failed
        self._on_alone = on_alone
        self._on_gone = on_gone
        self._on_abort = on_abort
        self._answers: list[Answer] = []
        self._wanted = False
        self._announced = False
        self._alone = predecessor is None
        self._since = time.monotonic()
        self._upgrade = Upgrade(
            command, selector, disinherit, on_ready=self._on_successor_ready, on_failed=self._on_successor_failed
        )
        if predecessor is not None:
            selector.register(predecessor.channel, selectors.EVENT_READ, self._on_predecessor)

    # Forwards

    @property
    def running(self) -> bool:
        """Whether a successor is on its way, or wanted: what it will begin with must not change."""
        return self._wanted or self._upgrade.running

    def ask(self, answer: Answer) -> None:
        """Someone wants a hot restart; `answer` hears what came of it."""
        obstacle = self._obstacle()
        if obstacle:
            log.error("hot restart refused: %s", obstacle)
            answer(False, obstacle)
            return
        self._answers.append(answer)
        self._wanted = True

    def reconcile(self) -> None:
        """Begins what is wanted and can be begun, and ends what takes too long."""
        self._upgrade.reconcile()
        if not self._wanted or not self._can_begin():
            return
        self._wanted = False
        try:
            self._upgrade.begin(self._estate())
        except OSError as error:
            self._on_successor_failed(str(error.strerror or error))

    def next_deadline(self) -> float | None:
        return self._upgrade.next_deadline()

    def bury(self, pid: int, status: int) -> bool:
        """Takes note of a dead child; False when it is not the successor."""
        return self._upgrade.bury(pid, status)

    def release(self) -> None:
        """This process has let go of all that its successor is to have alone."""
        self._upgrade.release()

    def abort(self) -> None:
        """This process is ending by itself."""
        self._wanted = False
        self._upgrade.abort()

    def close(self) -> None:
        """The end of this process, for the other ones too."""
        self._upgrade.close()
        self._forget_predecessor()

    def disinherit(self) -> None:
        """In a forked child."""
        self._upgrade.disinherit()
        if self._predecessor is not None:
            self._predecessor.close()

    def _obstacle(self) -> str:
        if not self._upgrade.possible:
            return "this daemon was not started by a command that could be run again"
        if self.running:
            return "a hot restart is under way already"
        if self._predecessor is not None:
            return f"process {self._predecessor.pid} of the last one still drains its connections"
        if os.getpid() == 1:
            return "this is process 1, whose end would be the end of its container"
        return ""

    def _on_successor_ready(self, pid: int, unserved: list[int]) -> None:
        self._answer(True, f"process {pid} serves, process {os.getpid()} drains its connections")
        self._give_way(pid, unserved)

    def _on_successor_failed(self, why: str) -> None:
        log.error("hot restart failed, this process goes on: %s", why)
        self._answer(False, f"hot restart failed, process {os.getpid()} goes on: {why}")
        self._on_failed()

    def _answer(self, accepted: bool, message: str) -> None:
        while self._answers:
            self._answers.pop()(accepted, message)

    # Backwards

    def announce(self, unserved: list[int]) -> bool:
        """Every worker accepts, but in these rows there are sockets on which none does.

        Whether this process is master alone; else `on_alone` will tell.
        """
        if not self._alone and not self._announced and self._predecessor is not None:
            self._announced = True
            self._predecessor.ready(unserved)
        return self._alone

    def draining(self) -> list[dict[str, Any]]:
        """The process that still ends its connections, for `fastnlb status`."""
        if self._predecessor is None or not self._alone:
            return []
        return [{"pid": self._predecessor.pid, "since": self._since}]

    def failed(self, message: str) -> None:
        """This start comes to nothing."""
        if self._predecessor is not None and not self._alone:
            self._predecessor.failed(message)

    def _on_predecessor(self, _events: int) -> None:
        try:
            while self._predecessor is not None and (frame := self._predecessor.channel.receive()) is not None:
                with closing(frame):
                    if frame.kind == "released":
                        self._become_alone()
                    elif frame.kind == "abort":
                        self._on_abort()
        except (ChannelClosed, ChannelError):
            self._forget_predecessor()
            self._become_alone()
            self._on_gone()

    def _become_alone(self) -> None:
        if not self._alone:
            self._alone, self._since = True, time.monotonic()
            self._on_alone()

    def _forget_predecessor(self) -> None:
        predecessor, self._predecessor = self._predecessor, None
        if predecessor is not None:
            self._selector.unregister(predecessor.channel)
            predecessor.close()
