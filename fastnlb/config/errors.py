"""What can be wrong with a configuration, and where: problems that point at a line and column.

Lines and columns count from 1; 0 means that there is no place, because the data never was a file.
A message is one printable line for a person.  It says what is wrong and what would be right, and it never
carries key material.  Text that came from the user goes through `quote` before it enters a message.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

Where = tuple[str | int, ...]
Mark = tuple[int, int]

_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_QUOTE_LIMIT = 80


class Places(Protocol):
    """Answers where in the text a value or a key of a mapping stands, as (line, column)."""

    def value(self, where: Where) -> Mark: ...

    def key(self, where: Where) -> Mark: ...


class _Nowhere:
    def value(self, where: Where) -> Mark:
        return (0, 0)

    def key(self, where: Where) -> Mark:
        return (0, 0)


NOWHERE: Places = _Nowhere()


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One thing that is wrong at one place, with its name in the reference API (error_names.py) if it has one.

    Problems sort in the order of the file.  `file` is where it is, when that is not the file of all the others.
    """

    line: int
    column: int
    path: str
    message: str
    warning: bool = False
    code: str = ""
    file: str = ""

    def render(self, file: str) -> str:
        """`file:line:column: path: message [code]`; the place, path and code are left out where there is none."""
        file = self.file or file
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        text = f"warning: {self.message}" if self.warning else self.message
        text += f" [{self.code}]" if self.code else ""
        return ": ".join(part for part in (place, self.path, text) if part)


class ConfigError(Exception):
    """A configuration was refused.  `problems` is sorted, holds at least one error, and the warnings as well."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("; ".join(problem.render("") for problem in self.problems if not problem.warning))


class Report:
    """Collects problems while a configuration is examined, and turns paths into places."""

    def __init__(self, places: Places = NOWHERE, problems: Iterable[Problem] = ()) -> None:
        self._places = places
        self._problems = list(problems)
        self._spoiled: set[Where] = set()

    def error(self, where: Where, message: str, *, at_key: bool = False, code: str = "") -> None:
        """What stands at `where` is wrong, and so is not worth looking into any further."""
        self._spoiled.add(where)
        self._add(where, message, at_key=at_key, code=code)

    def lacking(self, where: Where, message: str, *, code: str = "") -> None:
        """The mapping at `where` lacks something; what it does have is as good as before."""
        self._add(where, message, code=code)

    def warning(self, where: Where, message: str) -> None:
        self._add(where, message, warning=True)

    def spoiled(self, where: Where) -> bool:
        """Whether `where`, or something around it, already has an error, so that more would only be noise."""
        return any(where[:length] in self._spoiled for length in range(1, len(where) + 1))

    def line_note(self, where: Where) -> str:
        """` (line 12)` to say where something else stands, or nothing where there are no lines."""
        line, _ = self._places.value(where)
        return f" (line {line})" if line else ""

    def warnings(self) -> tuple[Problem, ...]:
        return tuple(sorted({problem for problem in self._problems if problem.warning}))

    def raise_errors(self) -> None:
        """Raise ConfigError with all that was collected, if any of it is more than a warning."""
        if any(not problem.warning for problem in self._problems):
            raise ConfigError(self._problems)

    def _add(
        self, where: Where, message: str, *, at_key: bool = False, warning: bool = False, code: str = ""
    ) -> None:
        line, column = self._places.key(where) if at_key else self._places.value(where)
        self._problems.append(Problem(line, column, show_path(where), message, warning, code))


def show_path(where: Where) -> str:
    """`("listeners", 0, "port")` as `listeners[0].port`; a key that is no plain word is quoted."""
    shown = ""
    for part in where:
        if isinstance(part, int):
            shown += f"[{part}]"
        elif _BARE_KEY.fullmatch(part):
            shown += f".{part}" if shown else part
        else:
            shown += f"[{quote(part)}]"
    return shown


def quote(text: str) -> str:
    """The user's text in double quotes, on one line, printable, and cut to a length that can be read."""
    if len(text) > _QUOTE_LIMIT:
        text = text[: _QUOTE_LIMIT - 3] + "..."
    return json.dumps(text, ensure_ascii=not text.isprintable())


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, whatever its case, or None."""
    by_folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower()[:_QUOTE_LIMIT], by_folded, n=1)
    return by_folded[near[0]] if near else None


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` with the nearest known word, or nothing when none is near."""
    near = nearest(word, known)
    return f"; did you mean {quote(near)}?" if near else ""


def count(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
