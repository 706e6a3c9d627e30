"""What writes have in common: their options, and the change that is shown when they are done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

from fastnlb.cli.admin_client import Answer
from fastnlb.cli.printing import TABLE, say, show_data
from fastnlb.cli.refusal import Refused, problem_line

C = TypeVar("C", bound=Callable[..., Any])

FILE_OPTION = click.option(
    "-f", "--file", metavar="FILE", help="YAML or JSON with the keys of the resource; - reads standard input."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Check it and show what would change; nothing is done.")
IF_MATCH = click.option(
    "--if-match", metavar="ETAG", help="Only if the resource still has this etag, as `show` gave it."
)
YES = click.option("--yes", is_flag=True, help="Do not ask.")


def dry(dry_run: bool) -> dict[str, Any]:
    """The query of a write."""
    return {"dry_run": "true" if dry_run else None}


def matching(etag: str | None) -> dict[str, str]:
    """The headers of a write."""
    if etag is None:
        return {}
    text = etag.strip()
    if not text.isascii() or not text.isprintable():
        raise click.UsageError("--if-match: it takes an etag as `show` gives it")
    return {"If-Match": text if text == "*" or text.startswith(('"', "W/")) else f'"{text}"'}


def show_change(answer: Answer, output: str, subject: str = "", *, dry_run: bool = False) -> None:
    """What has changed, a line for each thing; warnings go to standard error.  For programs all of the answer."""
    change: Mapping[str, Any] = answer.data.get("change") or {}
    for warning in change.get("warnings") or []:
        say(f"warning: {problem_line(warning, subject)}", err=True)
    if output != TABLE:
        show_data(answer.data, output)
        return
    nothing = "nothing would change" if dry_run else "nothing has changed"
    for line in change.get("lines") or [nothing]:
        say(str(line))


def asks(yes: bool) -> bool:
    """Whether to ask before something is lost: on a terminal, where nobody has said `yes` already."""
    return not yes and sys.stdin.isatty()


def confirm(question: str) -> None:
    """Raises Refused for a no."""
    if not click.confirm(question, err=True):
        raise Refused(["nothing has changed"])


def removals(answer: Answer) -> Iterator[str]:
    """The lines of a change that take something away."""
    lines = (answer.data.get("change") or {}).get("lines") or []
    return (str(line) for line in lines if str(line).startswith("- "))
