"""The temporal table of resources: a state read back, and the difference between two states written.

A state is, for each kind, its resources by name, in their order.
"""

from __future__ import annotations

import copy
import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastnlb.config.build import RESOURCES
from fastnlb.control.store.material import FIELDS, named_in
from fastnlb.control.store.order import placed
from fastnlb.control.store.values import Document

LARGE = 4096  # characters of JSON from which on it is kept deflated: a group of 10,000 servers is ten times smaller


class Row(NamedTuple):
    """A resource in a state: where it stands among its kind, and the block as in fastnlb.yaml."""

    position: int
    body: dict[str, Any]


class Move(NamedTuple):
    """One resource that another state has otherwise; `row` is None where it has it no more."""

    kind: str
    name: str
    row: Row | None


State = Mapping[str, Mapping[str, Row]]


def state_at(connection: sqlite3.Connection, number: int) -> State:
    """The state of the committed revision `number`; 0 is that before the first."""
    state: dict[str, dict[str, Row]] = {kind: {} for kind in RESOURCES}
    query = (
        "SELECT kind, name, position, body FROM resources"
        " WHERE since <= ? AND (until IS NULL OR until > ?) ORDER BY position"
    )
    for kind, name, position, body in connection.execute(query, (number, number)):
        state[kind][name] = Row(position, json.loads(_unpacked(body)))
    return state


def document_of(state: State) -> Document:
    return {kind: [row.body for row in rows.values()] for kind, rows in state.items()}


def arranged(before: State, document: Document) -> State:
    """The document as a state, with the positions of the one before where that can be.

    Raises ValueError: two of a kind have one name, or one has none.  A document that was checked has no such thing.
    """
    state: dict[str, dict[str, Row]] = {}
    for kind in RESOURCES:
        blocks = document.get(kind, [])
        names: list[str] = [block["name"] for block in blocks]
        if len(set(names)) != len(names):
            raise ValueError(f"two of {kind} have the same name")
        positions = placed({name: row.position for name, row in before[kind].items()}, names)
        wanted = zip(names, map(Row, positions, blocks), strict=True)
        state[kind] = {name: _own(before[kind].get(name), row) for name, row in wanted}
    return state


def _own(before: Row | None, row: Row) -> Row:
    """The caller goes on with its document, and what is kept here stays as it is."""
    return before if before is not None and before == row else Row(row.position, copy.deepcopy(row.body))


def moves(before: State, after: State) -> list[Move]:
    """What has to be written to get from one to the other."""
    found = []
    for kind in RESOURCES:
        old, new = before[kind], after[kind]
        found += [Move(kind, name, None) for name in old if name not in new]
        found += [Move(kind, name, row) for name, row in new.items() if old.get(name) != row]
    return found


def write(connection: sqlite3.Connection, number: int, changed: Sequence[Move]) -> None:
    """The moves, as of revision `number`."""
    connection.executemany(
        "UPDATE resources SET until = ? WHERE kind = ? AND name = ? AND until IS NULL",
        [(number, move.kind, move.name) for move in changed],
    )
    connection.executemany(
        "INSERT INTO resources (kind, name, position, body, since) VALUES (?, ?, ?, ?, ?)",
        [
            (move.kind, move.name, move.row.position, _packed(move.row.body), number)
            for move in changed
            if move.row is not None
        ],
    )


def take_back(connection: sqlite3.Connection, number: int) -> None:
    """What was written for revision `number`, the newest, never was."""
    connection.execute("DELETE FROM resources WHERE since = ?", (number,))
    connection.execute("UPDATE resources SET until = NULL WHERE until = ?", (number,))
    connection.execute("DELETE FROM revisions WHERE number = ?", (number,))


def forget_before(connection: sqlite3.Connection, oldest: int) -> bool:
    """Drops the revisions before `oldest` with what only they had; whether that named material."""
    kinds = tuple(FIELDS)
    marks = ", ".join("?" * len(kinds))
    query = f"SELECT EXISTS (SELECT 1 FROM resources WHERE until <= ? AND kind IN ({marks}))"  # noqa: S608
    (named,) = connection.execute(query, (oldest, *kinds)).fetchone()
    connection.execute("DELETE FROM resources WHERE until <= ?", (oldest,))
    connection.execute("DELETE FROM revisions WHERE number < ?", (oldest,))
    return bool(named)


def material_named(connection: sqlite3.Connection) -> set[str]:
    """The references of every revision that is kept, and of what is staged."""
    found: set[str] = set()
    for kind in FIELDS:
        for (body,) in connection.execute("SELECT body FROM resources WHERE kind = ?", (kind,)):
            found |= named_in(_unpacked(body))
    return found


def _packed(body: Mapping[str, Any]) -> str | bytes:
    text = json.dumps(body, separators=(",", ":"))
    return text if len(text) < LARGE else zlib.compress(text.encode("ascii"), 1)


def _unpacked(body: str | bytes) -> str:
    return body if isinstance(body, str) else zlib.decompress(body).decode("ascii")
