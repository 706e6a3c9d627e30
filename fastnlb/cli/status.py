"""`fastnlb status`: the daemon, its workers, listeners and servers at this moment.

Exit status: 0 shown, 2 usage, 4 the daemon does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from fastnlb.cli.admin_client import demand
from fastnlb.cli.printing import TABLE, output_option, say, show_data, show_table
from fastnlb.cli.resource_text import server_row
from fastnlb.cli.target import Target, which_daemon
from fastnlb.model import place

MINUTE, HOUR, DAY = 60, 3600, 86_400


@click.command()
@output_option()
@which_daemon
def status(daemon: Target, output: str) -> None:
    """Show the daemon, its workers, listeners and servers."""
    answer = demand(daemon, "GET", "/api/v1/status").data
    if output == TABLE:
        _show(answer)
    else:
        show_data(answer, output)


def _show(answer: dict[str, Any]) -> None:
    say(headline(answer))
    if answer.get("read_only_reason"):
        say(f"read-only: {answer['read_only_reason']}")
    say("")
    workers = [(w["index"], w["pid"], w["state"], w["connections"], show_age(w["age"])) for w in answer["workers"]]
    show_table(("WORKER", "PID", "STATE", "CONNECTIONS", "AGE"), workers)
    if answer["draining"]:
        say("")
        old = [(each["pid"], each["connections"], show_age(each["age"])) for each in answer["draining"]]
        show_table(("DRAINING", "CONNECTIONS", "AGE"), old)
    say("")
    head = ("LISTENER", "PROTOCOL", "ADDRESS", "STATE", "SERVER GROUP", "CONNECTIONS")
    show_table(head, _listeners(answer))
    say("")
    show_table(("SERVER GROUP", "SERVER", "WEIGHT", "HEALTH", "REASON", "CONNECTIONS"), _servers(answer))


def headline(answer: dict[str, Any]) -> str:
    """Which daemon it is, for how long it runs, and what it serves."""
    head = f"fastnlb {answer['version']}, process {answer['pid']}, up {show_age(answer['age'])}"
    mode = answer.get("mode")
    revision = answer.get("revision")
    more = (f", {mode} mode" if mode else "") + (f", revision {revision}" if revision is not None else "")
    return f"{head}, configuration {answer['generation']}{more}"


def _listeners(answer: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for each in answer["listeners"]:
        state = "running" if each["enabled"] else "stopped"
        yield each["name"], each["protocol"], status_place(each), state, each["server_group"], each["connections"]


def status_place(listener: dict[str, Any]) -> str:
    """Where one of the answer's listeners accepts."""
    return place(listener["address"], listener["port"], listener["last_port"] or 0)


def _servers(answer: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for group in answer["server_groups"]:
        for each in group["servers"]:
            yield group["name"], *server_row(each)


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
