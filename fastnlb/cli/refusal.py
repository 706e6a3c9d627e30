"""What the daemon refuses, in lines a person can act on: every problem at its field.

    listener https: port: 70000 is out of range: port takes 1 to 65535 [IllegalParam.Port]

It is read from problem details (RFC 9457) as the REST API answers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from fastnlb.cli.kinds import subject_of
from fastnlb.cli.printing import encodable
from fastnlb.master.exits import EXIT_REFUSED


class Refused(click.ClickException):
    """Bad input, or a daemon that will not; `lines` say why."""

    exit_code = EXIT_REFUSED

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("; ".join(self.lines))

    def show(self, file: Any = None) -> None:
        for line in self.lines:
            click.echo(encodable(line, err=True), err=True)


def refusal_lines(answer: Mapping[str, Any], subject: str = "") -> list[str]:
    """The problems in a refusal, a line each.  `subject` is the resource that was sent, such as `listener https`."""
    found = [problem_line(each, subject) for each in answer.get("errors") or []]
    if not found:
        detail = str(answer.get("detail") or answer.get("title") or "the daemon refuses it")
        about = "" if subject and detail.startswith(f"{subject} ") else subject  # it begins with it already
        found = [_line((about, detail), answer.get("code"))]
    return [*found, *_instead(answer)]


def problem_line(problem: Mapping[str, Any], subject: str = "") -> str:
    """`listener https: port: message [code]` for one problem or warning."""
    resource = problem.get("resource")
    about = subject_of(str(resource)) if resource else subject
    return _line((about, problem.get("path"), problem.get("message")), problem.get("code"))


def _line(parts: Iterable[object], code: object) -> str:
    text = ": ".join(str(part) for part in parts if part)
    return f"{text} [{code}]" if code else text


def _instead(answer: Mapping[str, Any]) -> Iterator[str]:
    """What to write into the file of a daemon that is read-only."""
    text = answer.get("yaml")
    if isinstance(text, str) and text.strip():
        yield "write this into its file, and then: fastnlb reload"
        yield from (f"  {line}" for line in text.rstrip().splitlines())
