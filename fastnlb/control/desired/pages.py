"""Which of many: filters, and one page after the other, in the order of names.

A cursor is the last name of the page before, so that what comes and goes meanwhile neither repeats nor skips another.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastnlb.control.desired.edits import InvalidError

MOST_ITEMS = 1000
LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Filter:
    """All of them have to match.  `name` is part of a name in any case, or with * and ? a pattern for all of it."""

    name: str = ""
    protocol: str = ""
    tags: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        """Raises InvalidError."""
        if len(self.name) > LONGEST_NAME:  # patterns are kept by the thousand once they were read
            raise InvalidError(f"a name has at most {LONGEST_NAME} characters", "name")

    def takes(self, item: Mapping[str, Any]) -> bool:
        tags = item.get("tags", {})
        return (
            self._takes_name(item["name"].lower())
            and (not self.protocol or item.get("protocol", "TCP") == self.protocol)
            and all(tags.get(key) == value for key, value in self.tags)
        )

    def _takes_name(self, name: str) -> bool:
        wanted = self.name.lower()
        return fnmatch.fnmatchcase(name, wanted) if set(wanted) & set("*?[") else wanted in name


def tags_of(texts: Sequence[str]) -> list[tuple[str, str]]:
    """`key=value` for each.  Raises InvalidError."""
    pairs = [text.partition("=") for text in texts]
    for text, (key, equals, _) in zip(texts, pairs, strict=True):
        if not equals or not key:
            raise InvalidError(f"a tag is asked for as key=value, not {text}", "tag")
    return [(key, value) for key, _, value in pairs]


def page(
    items: Sequence[dict[str, Any]], wanted: Filter, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None, int]:
    """The page behind `cursor`, the cursor of the next one, and how many there are in all.  Raises InvalidError."""
    found = sorted(filter(wanted.takes, items), key=lambda item: item["name"])
    begin = 0 if cursor is None else bisect_right(found, _name_in(cursor), key=lambda item: item["name"])
    some = found[begin : begin + limit]
    more = begin + limit < len(found)
    return some, _cursor(some[-1]["name"]) if more else None, len(found)


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _name_in(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise InvalidError("this is no cursor that an answer gave", "cursor") from None
