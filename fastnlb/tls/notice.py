"""Warnings that know when they hold: "expired" is true from an instant on, "not yet valid" up to one.

What is read from a file keeps all of them, so that it can be kept in memory and still say on another day what reading
it again would say.  Instants are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import inf


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning that holds strictly after `after` and strictly before `before`; always, when neither is given."""

    text: str
    after: float = -inf
    before: float = inf


def holding(notices: Iterable[Notice], now: float) -> tuple[str, ...]:
    """The texts of those that hold at `now`, in their order."""
    return tuple(notice.text for notice in notices if notice.after < now < notice.before)


def validity(which: str, begin: datetime, end: datetime | None) -> list[Notice]:
    """The two warnings about something that is valid from `begin` to `end` (for ever without it), both included."""
    notices = [Notice(f"{which} is not valid before {instant(begin)}", before=begin.timestamp())]
    if end is not None:
        notices.append(Notice(f"{which} expired on {instant(end)}", after=end.timestamp()))
    return notices


def instant(when: datetime) -> str:
    """As messages write it: to the minute, in UTC."""
    return f"{when:%Y-%m-%d %H:%M} UTC"
