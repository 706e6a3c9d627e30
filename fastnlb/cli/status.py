"""`fastnlb status`: the daemon, its workers, listeners and servers at this moment.

Exit status: 0 shown, 2 usage, 4 the daemon does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from fastnlb.cli.admin_client import ask, which_daemon
from fastnlb.model import place

MINUTE, HOUR, DAY = 60, 3600, 86_400


@click.command()
@which_daemon
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(pid_file: Path | None, admin: Path | None, output: str) -> None:
    """Show the daemon, its workers, listeners and servers."""
    _, answer = ask("GET", "/api/v1/status", pid_file, admin)
    if output == "json":
        click.echo(json.dumps(answer, indent=2))
        return
    for line in _lines(answer):
        click.echo(line)


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    head = f"fastnlb {answer['version']}, process {answer['pid']}, up {show_age(answer['age'])}"
    yield f"{head}, configuration {answer['generation']}"
    yield ""
    workers = [(w["index"], w["pid"], w["state"], w["connections"], show_age(w["age"])) for w in answer["workers"]]
    yield from _table(("WORKER", "PID", "STATE", "CONNECTIONS", "AGE"), workers)
    if answer["draining"]:
        old = [(each["pid"], each["connections"], show_age(each["age"])) for each in answer["draining"]]
        yield ""
        yield from _table(("DRAINING", "CONNECTIONS", "AGE"), old)
    yield ""
    yield from _table(("LISTENER", "PROTOCOL", "ADDRESS", "STATE", "SERVER GROUP", "CONNECTIONS"), _listeners(answer))
    yield ""
    head_of_servers = ("SERVER GROUP", "SERVER", "WEIGHT", "HEALTH", "REASON", "CONNECTIONS")
    yield from _table(head_of_servers, _servers(answer))


def _listeners(answer: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for each in answer["listeners"]:
        state = "running" if each["enabled"] else "stopped"
        where = place(each["address"], each["port"], each["last_port"] or 0)
        yield each["name"], each["protocol"], where, state, each["server_group"], each["connections"]


def _servers(answer: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for group in answer["server_groups"]:
        for each in group["servers"]:
            where = place(each["address"], each["port"]) + (f" ({each['host']})" if each["host"] else "")
            health = (each["health"] or "-").lower()
            yield group["name"], where, each["weight"], health, each["reason"], each["connections"]


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    lines = [head, *(tuple("-" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def show_age(seconds: float) -> str:
    """`42s`, `5m10s`, `3h2m`, `4d1h`."""
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE}m"
    return f"{whole // DAY}d{whole % DAY // HOUR}h"
