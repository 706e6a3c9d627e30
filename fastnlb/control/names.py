"""What every host name in use stands for, and when each is to be looked up again.

An answer counts for its TTL, within the bounds of the Resolver settings.  Whatever goes wrong, a name keeps the
addresses it had, and is tried again, more and more rarely.  The log has each change of standing once, with the
reason.  Nothing waits here: questions go to an Asker, whose answers `turn` takes.
"""

from __future__ import annotations

import enum
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastnlb.control.answer import Answer
from fastnlb.control.naming import Addresses, addresses_in, host_names
from fastnlb.model import Resolver, Snapshot

FIRST_RETRY = 1.0  # seconds, doubled up to the longest
LONGEST_RETRY = 30.0
TICK = 1 / 16  # names are asked together at its multiples: each time all of them are looked through
NEVER = float("inf")

log = logging.getLogger("fastnlb.control")


class Asker(Protocol):
    """Who looks names up: one answer for each question, some time."""

    def ask(self, name: str, settings: Resolver) -> None: ...

    def take(self) -> list[tuple[str, Answer]]: ...


class Standing(enum.Enum):
    NEW = enum.auto()  # nobody has answered yet
    GOOD = enum.auto()
    PARTIAL = enum.auto()  # one kind of address was found, for the other nobody answered
    FAILING = enum.auto()


@dataclass(slots=True)
class _Name:
    """One of them.  `due`: when it is asked next, NEVER while it is; `asked` is how, the last time."""

    addresses: tuple[str, ...]
    standing: Standing
    due: float
    asked: Resolver | None = None
    failures: int = 0  # in a row


class Names:
    """All of them.  `follow` says which there are; `news`, which its reader resets, that addresses changed."""

    def __init__(self, asker: Asker, clock: Callable[[], float] = time.monotonic) -> None:
        self._asker = asker
        self._clock = clock
        self._names: dict[str, _Name] = {}
        self._settings = Resolver()
        self._next_due = NEVER
        self.news = False

    def follow(self, in_force: Snapshot, *coming: Snapshot) -> None:
        """The names of all these, and no others; the settings of the last.  What `in_force` says of a name counts
        when nothing else is known.
        """
        newest = (in_force, *coming)[-1]
        wanted = host_names(in_force).union(*map(host_names, coming))
        known, now = addresses_in(in_force), self._clock()
        for name in self._names.keys() - wanted:
            del self._names[name]
        for name in wanted - self._names.keys():
            self._names[name] = _Name(known.get(name, ()), _first_standing(known, name), now)
        if newest.resolver != self._settings:
            self._change_settings(newest.resolver, now)
        self._plan()

    def addresses(self) -> Addresses:
        return {name: held.addresses for name, held in self._names.items()}

    def settled(self, snapshot: Snapshot) -> bool:
        """Whether every name of `snapshot`, which is followed, has been answered for, well or badly."""
        names = (self._names.get(name) for name in host_names(snapshot))
        return all(held is None or held.standing is not Standing.NEW for held in names)

    def turn(self) -> None:
        """Takes the answers there are, and asks what is due."""
        now = self._clock()
        self._take(now)
        if now >= self._next_due:
            for name, held in self._names.items():
                if held.due <= now:
                    held.due, held.asked = NEVER, self._settings
                    self._asker.ask(name, self._settings)
            self._plan()
            self._take(now)  # what could not even be asked

    def next_due(self) -> float:
        """When `turn` has something to ask next, on the clock."""
        return self._next_due

    def _plan(self) -> None:
        self._next_due = min((held.due for held in self._names.values()), default=NEVER)

    def _change_settings(self, settings: Resolver, now: float) -> None:
        self._settings = settings
        for held in self._names.values():
            if held.due != NEVER:  # the answer that is under way has its own look at this
                held.due = now

    # Answers

    def _take(self, now: float) -> None:
        """Looks at nothing but the names that were answered for: of 10,000, one answer is one turn of the loop."""
        for name, answer in self._asker.take():
            held = self._names.get(name)
            if held is not None and held.due == NEVER:
                self._judge(name, held, answer, now)
                self._next_due = min(self._next_due, held.due)

    def _judge(self, name: str, held: _Name, answer: Answer, now: float) -> None:
        if answer.good:
            held.failures = 0
            self._set_addresses(held, answer.over(held.addresses))
            delay = float(min(max(answer.ttl, self._settings.min_ttl), self._settings.max_ttl))
        else:
            delay = min(FIRST_RETRY * 2**held.failures, LONGEST_RETRY)
            held.failures = min(held.failures + 1, 10)
        held.due = _tick_after(now + delay) if held.asked == self._settings else now
        before, held.standing = held.standing, _standing(answer)
        if held.standing is not before:
            _log_change(name, held, before, answer.reason)

    def _set_addresses(self, held: _Name, addresses: tuple[str, ...]) -> None:
        self.news = self.news or addresses != held.addresses
        held.addresses = addresses


def _tick_after(when: float) -> float:
    return math.ceil(when / TICK) * TICK


def _first_standing(known: Addresses, name: str) -> Standing:
    """Of a name that is served already: who had it served has said what was wrong with it."""
    if name not in known:
        return Standing.NEW
    return Standing.GOOD if known[name] else Standing.FAILING


def _standing(answer: Answer) -> Standing:
    if not answer.good:
        return Standing.FAILING
    return Standing.GOOD if answer.ipv4 is not None and answer.ipv6 is not None else Standing.PARTIAL


def _log_change(name: str, held: _Name, before: Standing, reason: str) -> None:
    if held.standing is Standing.FAILING:
        stays = f"stays at {', '.join(held.addresses)}" if held.addresses else "it has no address yet"
        log.warning("%s does not resolve (%s): %s", name, reason, stays)
    elif held.standing is Standing.PARTIAL:
        log.warning("%s resolves in part, the other addresses stay: %s", name, reason)
    elif before is not Standing.NEW:
        log.info("%s resolves again", name)
