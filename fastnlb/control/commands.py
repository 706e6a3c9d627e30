"""What a running daemon is told to do: questions to the master, and who waits for their answers.

reload    reads the configuration again; answered when it serves, or with why it does not
change    the same for what is staged, which is all there is to carry out
upgrade   hot restart; answered when the successor serves, or with why it does not
stop      drains and ends; answered at once
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

COMMANDS = ("reload", "change", "upgrade", "stop")
RELOADS = ("reload", "change")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it was done, and in lines what has changed, or why nothing has.

    `later`: nothing is wrong with it, and it may be asked for again.
    """

    accepted: bool
    lines: tuple[str, ...] = ()
    later: bool = False


ENDING = Outcome(False, ("the daemon is ending, or a hot restart is under way: try again",), later=True)

Reply = Callable[[Outcome], None]
"""Called once, now or later."""


class Outlet(Protocol):
    """The sending half of a Channel."""

    def send(self, kind: str, **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class _Asker:
    """Of a reload; `whole`: not only for what is staged."""

    whole: bool
    reply: Reply


class Commands:
    """Whoever has asked waits in here for the answer."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._serials = count(1)
        self._asked: dict[int, Reply] = {}
        self._reload_waiting: dict[int, _Asker] = {}
        self._reload_running: list[_Asker] = []
        self._ended = False

    def ask(self, what: str, reply: Reply) -> None:
        """`what` is one of COMMANDS.  Raises ChannelClosed."""
        if self._ended:
            reply(ENDING)
            return
        serial = next(self._serials)
        if what in RELOADS:
            self._reload_waiting[serial] = _Asker(what == "reload", reply)
        else:
            self._asked[serial] = reply
        self._outlet.send("ask", serial=serial, what=what)

    async def done(self, what: str, at_once: Reply = lambda _outcome: None) -> Outcome:
        """Asks, and waits for the answer; `at_once` has it before anything else can happen."""
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def reply(outcome: Outcome) -> None:
            at_once(outcome)
            if not answered.done():  # whoever has asked may have gone
                answered.set_result(outcome)

        self.ask(what, reply)
        return await answered

    def end(self) -> None:
        """The master hears no more: whoever waits, or asks from now on, is told to try again."""
        self._ended = True
        reloads = [*self._reload_waiting.values(), *self._reload_running]
        waiting = [*self._asked.values(), *(asker.reply for asker in reloads)]
        self._asked, self._reload_waiting, self._reload_running = {}, {}, []
        for reply in waiting:
            reply(ENDING)

    def on_reload(self) -> None:
        """A reload begins: it answers all who have asked so far."""
        self._reload_running += self._reload_waiting.values()
        self._reload_waiting = {}

    def on_reloaded(self, accepted: bool, lines: list[str], again: bool = False) -> None:
        """It has ended.  `lines`: what has changed, or why nothing has.

        `again`: it was refused for what is staged, and who wants all of it is answered by the next one.
        """
        waiting, self._reload_running = self._reload_running, []
        for asker in waiting:
            if again and asker.whole:
                self._reload_running.append(asker)
            else:
                asker.reply(Outcome(accepted, tuple(lines)))

    def on_answer(self, serial: int, accepted: bool, message: str) -> None:
        """The master's answer.  Of a reload it only says that there will be one, and `on_reloaded` how it went, or
        that this is not the time; one that somebody else asked for may have begun, or ended, by then.
        """
        lines = (message,) if message else ()
        if (reply := self._asked.pop(serial, None)) is not None:
            reply(Outcome(accepted, lines))
            return
        if not accepted and (asker := self._reload_waiting.pop(serial, None)) is not None:
            asker.reply(Outcome(False, lines, later=True))
