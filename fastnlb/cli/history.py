"""`fastnlb history`: the revisions of what a daemon in store mode serves.

Exit status: 0 answered or restored, 1 refused (no such revision, a state that cannot be served), 2 usage,
4 the daemon does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from fastnlb.cli.admin_client import demand
from fastnlb.cli.change import DRY_RUN, YES, asks, confirm, dry, removals, show_change
from fastnlb.cli.history_text import change_lines
from fastnlb.cli.printing import TABLE, output_option, say, show_data, show_table
from fastnlb.cli.target import Target, which_daemon

URL = "/api/v1/revisions"
PAGE = 1000
_NUMBER = click.IntRange(min=1)


class _ListByDefault(click.Group):
    """Options alone are those of `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def history() -> None:
    """Revisions of what a daemon in store mode serves; without a command, the list of them."""


@history.command("list")
@click.option("--limit", type=_NUMBER, default=20, show_default=True, help="How many at most.")
@output_option()
@which_daemon
def list_(daemon: Target, limit: int, output: str) -> None:
    """List the revisions, the newest first."""
    items = list(_revisions(daemon, limit))
    if output == TABLE:
        head = ("REVISION", "AT", "AUTHOR", "SUMMARY")
        show_table(head, [[each.get(key) for key in ("number", "at", "author", "summary")] for each in items])
    else:
        show_data(items, output)


@history.command()
@click.argument("number", type=_NUMBER)
@output_option()
@which_daemon
def show(daemon: Target, number: int, output: str) -> None:
    """Show what a revision has changed; JSON and YAML have all of it."""
    found = demand(daemon, "GET", f"{URL}/{number}", f"revision {number}").data
    if output != TABLE:
        show_data(found, output)
        return
    say(f"revision {found.get('number')}, {found.get('at')}, by {found.get('author')}: {found.get('summary')}")
    _show_changes(found)


@history.command()
@click.argument("old", type=_NUMBER)
@click.argument("new", type=_NUMBER)
@output_option()
@which_daemon
def diff(daemon: Target, old: int, new: int, output: str) -> None:
    """Show what the second revision has otherwise than the first."""
    found = demand(daemon, "GET", f"{URL}/{old}/diff", f"revision {old}", query={"to": new}).data
    if output == TABLE:
        _show_changes(found)
    else:
        show_data(found, output)


@history.command()
@click.argument("number", type=_NUMBER)
@YES
@DRY_RUN
@output_option()
@which_daemon
def restore(*, daemon: Target, number: int, yes: bool, dry_run: bool, output: str) -> None:
    """Serve what a revision had, as a new revision."""
    url, subject = f"{URL}/{number}/restore", f"revision {number}"
    if asks(yes) and not dry_run:
        gone = list(removals(demand(daemon, "POST", url, subject, query=dry(True))))
        for line in gone:
            say(line, err=True)
        if gone:
            confirm("this is removed, because the revision does not have it: go on?")
    answer = demand(daemon, "POST", url, subject, query=dry(dry_run))
    show_change(answer, output, subject, dry_run=dry_run)


def _revisions(daemon: Target, limit: int) -> Iterator[Mapping[str, Any]]:
    before: object = None
    while limit > 0:
        asked = {"limit": min(limit, PAGE), "before": before}
        data = demand(daemon, "GET", URL, query=asked).data
        items = (data.get("items") or [])[:limit]
        yield from items
        limit, before = limit - len(items), data.get("next")
        if before is None or not items:
            return


def _show_changes(found: Mapping[str, Any]) -> None:
    changes = found.get("changes")
    if changes is None:
        say("what it changed is not known any more: the revision before it is not kept")
    for line in change_lines(changes or []):
        say(line)
