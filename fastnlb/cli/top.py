"""`fastnlb top`: a running daemon as it works, once a second.

On a terminal it stays until `q`, and goes on through reloads and hot restarts.  Elsewhere, and with `--once`, it
prints one look, with the rates of one interval.
Exit status: 0 shown, 1 refused, 2 usage, 4 the daemon does not answer at first.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import click

from fastnlb.cli.admin_client import ask, demand
from fastnlb.cli.keyboard import SUSPEND, open_keyboard, suspend
from fastnlb.cli.printing import say
from fastnlb.cli.refusal import refusal_lines
from fastnlb.cli.target import NoAnswer, Target, which_daemon
from fastnlb.cli.top_numbers import ORDERS, Look
from fastnlb.cli.top_screen import drawn, fitted, since, view
from fastnlb.procstat import process_stat

URL = "/api/v1/status"
PATIENCE_SECONDS = 5.0  # for which keys wait, too
_USER_TIME, _SYSTEM_TIME = 11, 12  # where they stand in what process_stat returns
_ORDER_KEYS = {name[0]: name for name in ORDERS}
_QUIT = ("q", "Q", "\x03", "\x04")


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option(
    "--sort",
    type=click.Choice(list(ORDERS)),
    default="connections",
    show_default=True,
    help="What listeners are sorted by.",
)
@click.option("--once", is_flag=True, help="Print one look as plain text, as if the output was no terminal.")
@which_daemon
def top(daemon: Target, interval: float, sort: str, once: bool) -> None:
    """Watch a running daemon: connections, rates, load, health; q ends it."""
    answer = demand(daemon, "GET", URL).data
    first = _with_busy(daemon, Look(time.monotonic(), answer, {}))
    if once or not _is_screen():
        time.sleep(interval)
        for line in view(first, _look(daemon), sort).plain():
            say(line)
        return
    watched = _Watch(daemon, interval, sort, first)
    while watched.run():
        suspend()


def _is_screen() -> bool:
    """Whether there is a terminal that can be drawn on, with keys."""
    return sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


class _Watch:
    """What is on the screen, and what it came from."""

    def __init__(self, daemon: Target, interval: float, order: str, first: Look) -> None:
        self._daemon = daemon
        self._interval = interval
        self._order = order
        self._before: Look | None = None
        self._now = first
        self._note = ""

    def run(self) -> bool:
        """Until it is ended, False, or to be suspended, True."""
        from rich.console import Console  # noqa: PLC0415  only on terminals
        from rich.live import Live  # noqa: PLC0415

        console = Console()
        with (
            open_keyboard(sys.stdin.fileno()) as keyboard,
            Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live,
        ):
            due = time.monotonic() + self._interval
            while True:
                live.update(self._drawn(*console.size), refresh=True)
                try:
                    key = keyboard.wait(due - time.monotonic())
                except EOFError:
                    return False
                if key in _QUIT:
                    return False
                if key == SUSPEND:
                    return True
                self._order = _ORDER_KEYS.get(key.lower(), self._order)
                if time.monotonic() >= due:
                    self._look_again()
                    due = time.monotonic() + self._interval

    def _drawn(self, width: int, height: int) -> Any:
        return drawn(fitted(view(self._before, self._now, self._order), height), width, self._note)

    def _look_again(self) -> None:
        """What was seen stays when there is no answer, as during a hot restart there may be none."""
        try:
            seen = _look(self._daemon)
        except click.ClickException as error:
            self._note = f"{error.format_message()}; this is of {since(self._now.at)}"
            return
        self._before, self._now, self._note = self._now, seen, ""


def _look(daemon: Target) -> Look:
    """Raises NoAnswer."""
    answer = ask(daemon, "GET", URL, patience=PATIENCE_SECONDS)
    if not answer.good:
        raise NoAnswer("; ".join(refusal_lines(answer.data)))
    return _with_busy(daemon, Look(time.monotonic(), answer.data, {}))


def _with_busy(daemon: Target, look: Look) -> Look:
    """With the processor time of workers, where they are processes of this machine."""
    if daemon.remote:
        return look
    busy = {}
    for worker in look.answer["workers"]:
        found = process_stat(worker["pid"])
        if len(found) > _SYSTEM_TIME:
            busy[worker["pid"]] = (int(found[_USER_TIME]) + int(found[_SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")
    return Look(look.at, look.answer, busy)
