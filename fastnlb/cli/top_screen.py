"""What `fastnlb top` shows: the tables of one moment, as plain lines or on a terminal of some size."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fastnlb.cli.printing import GAP, Row, aligned, cell, rich_table
from fastnlb.cli.status import headline
from fastnlb.cli.top_numbers import (
    ListenerLine,
    Look,
    SickServer,
    WorkerLine,
    listener_lines,
    ordered,
    server_count,
    sick_servers,
    worker_lines,
)

if TYPE_CHECKING:
    from rich.console import Group

LISTENER_HEAD = (
    *("LISTENER", "ADDRESS", "STATE", "CONNECTIONS", "NEW/S", "UP B/S", "DOWN B/S"),
    *("TLS/S", "RESUMED/S", "FAILED/S", "LEFT/S", "DROPPED/S"),
)
WORKER_HEAD = ("WORKER", "PID", "STATE", "CONNECTIONS", "NEW/S", "BYTES/S", "LOAD")
SERVER_HEAD = ("SERVER GROUP", "SERVER", "HEALTH", "REASON", "CONNECTIONS")
KEYS = "q quit   sort by: c connections, r rate, b bytes, n name"
_HEADING = 1  # the lines that a table has besides its rows
_FEW = 3  # rows that each table keeps, however low the terminal is


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and how many of its rows there are when not all are in it."""

    head: Sequence[str]
    rows: Sequence[Row]
    total: int

    @property
    def missing(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class View:
    """One moment: a line on the whole, and tables."""

    line: str
    tables: tuple[Table, ...]

    def plain(self) -> Iterator[str]:
        """For a pipe: all rows."""
        yield self.line
        for table in self.tables:
            yield ""
            yield from aligned(table.head, table.rows)


def view(before: Look | None, now: Look, order: str = "connections") -> View:
    """Rates are those since `before`."""
    sick = sick_servers(now.answer)
    servers = f"{len(sick)} of {server_count(now.answer)} servers out of health"
    tables = [
        _table(WORKER_HEAD, [_worker_row(each) for each in worker_lines(before, now)]),
        _table(LISTENER_HEAD, [_listener_row(each) for each in ordered(listener_lines(before, now), order)]),
    ]
    if sick:
        tables.append(_table(SERVER_HEAD, [_server_row(each) for each in sick]))
    return View(f"{headline(dict(now.answer))}; {servers}", tuple(tables))


def fitted(shown: View, height: int) -> View:
    """The same in `height` lines: rows that do not fit are counted instead, those of the fullest table first."""
    fixed = 3 + sum(_HEADING + 2 for _ in shown.tables)  # the line on the whole, the keys, and around each table
    wanted = [len(table.rows) for table in shown.tables]
    allowed = _shares(wanted, max(height - fixed, 0))
    tables = [
        Table(each.head, each.rows[:rows], each.total) for each, rows in zip(shown.tables, allowed, strict=True)
    ]
    return View(shown.line, tuple(tables))


def drawn(shown: View, width: int, note: str = "") -> Group:
    """For a terminal of `width` columns.  `note`: what is wrong at the moment."""
    from rich.console import Group  # noqa: PLC0415  only on terminals
    from rich.text import Text  # noqa: PLC0415

    second = Text(note, "bold red") if note else Text(KEYS, "dim")
    parts: list[Any] = [Text(shown.line, "bold"), second]
    for line in parts:
        line.no_wrap, line.overflow = True, "ellipsis"
    for table in shown.tables:
        parts += [Text(), rich_table(*_narrowed(table, width))]
        if table.missing:
            parts.append(Text(f"and {table.missing} more", "dim"))
    return Group(*parts)


def amount(value: float | None) -> str | None:
    """`0`, `0.5`, `12`, `1.2k`, `34M`: two or three digits."""
    if value is None:
        return None
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5:
            digits = 1 if value < 9.95 and value != round(value) else 0
            return f"{value:.{digits}f}{unit}"
        value /= 1000
    return f"{value:.0f}P"


def since(then: float) -> str:
    """How long ago, of a clock that only goes forward."""
    return f"{time.monotonic() - then:.0f} s ago"


def _narrowed(table: Table, width: int) -> tuple[Sequence[str], list[Row]]:
    """Without the columns on the right that do not fit: half of each would be of no use."""
    columns = zip(table.head, *(map(cell, row) for row in table.rows), strict=True)
    ends = list(accumulate(max(map(len, column)) + GAP for column in columns))
    kept = max(sum(end - GAP <= width for end in ends), 1)
    return table.head[:kept], [row[:kept] for row in table.rows]


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Rows for each table: small ones whole, what is left to the others."""
    allowed = [min(each, _FEW) for each in wanted]
    for position in sorted(range(len(wanted)), key=lambda at: wanted[at]):
        free = max(room - sum(allowed), 0)
        allowed[position] = min(wanted[position], allowed[position] + free)
    return allowed


def _table(head: Sequence[str], rows: list[Row]) -> Table:
    return Table(head, rows, len(rows))


def _listener_row(each: ListenerLine) -> Row:
    rates = (each.new, each.up, each.down, each.handshakes, each.resumed, each.failed, each.left, each.dropped)
    return each.name, each.place, each.state, each.connections, *map(amount, rates)


def _worker_row(each: WorkerLine) -> Row:
    load = None if each.load is None else f"{100 * each.load:.0f}%"
    return each.index, each.pid, each.state, each.connections, amount(each.new), amount(each.bytes), load


def _server_row(each: SickServer) -> Row:
    return each.group, each.place, each.health, each.reason, each.connections
