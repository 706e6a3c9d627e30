"""The database file: its shape, how it is opened, and transactions.

Resources are kept by the revisions they were in: a row is one version of one resource, there from revision `since` on
and gone with revision `until` (NULL: it is there still).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastnlb.control.store.errors import StateDirError, StoreError

SCHEMA = 1
APPLICATION = 0x666E6C62  # "fnlb"
PATIENCE = 5.0  # seconds to wait for a lock of SQLite's
KEPT_LOG_BYTES = 4 * 1024 * 1024

_TABLES = """
CREATE TABLE revisions (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    summary TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('staged', 'committed')),
    parent INTEGER
);
CREATE TABLE resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (kind, name, since)
) WITHOUT ROWID;
CREATE INDEX resources_until ON resources (until);
CREATE TABLE answers (
    token TEXT PRIMARY KEY,
    signature TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX answers_at ON answers (at);
"""


def connect(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """The database, made if there is none.  Raises StoreError, sqlite3.Error and OSError.

    For one process; threads take turns.  `alone`: no other can read it meanwhile, and so it takes no file to agree
    with others in.
    """
    _touch(path)
    connection = sqlite3.connect(path, PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check_ours(connection, path)
        mode = _pragma(connection, "journal_mode = WAL")
        if mode != "wal":
            raise StateDirError(f"{path.parent}: its file system cannot hold the database: use a local one")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        connection.execute("PRAGMA trusted_schema = OFF")
        if _pragma(connection, "user_version") == 0:
            with transaction(connection):
                _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block is on disk when it ends, or none of it when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _touch(path: Path) -> None:
    """SQLite gives the files beside it the same owner and mode."""
    if path.is_symlink():
        raise StateDirError(f"{path} is a symbolic link: it has to be a file")
    if path.exists():
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise StateDirError(f"{path} is a database of another program: name another state directory")
    if isinstance(version, int) and version > SCHEMA:
        known = f"it has version {version}, and this program knows {SCHEMA}"
        raise StoreError(f"{path} was written by a newer fastnlb ({known}): start that one")


def _make_tables(connection: sqlite3.Connection) -> None:
    if _pragma(connection, "user_version") != 0:
        return  # by another process, just now
    for statement in filter(str.strip, _TABLES.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _pragma(connection: sqlite3.Connection, words: str) -> object:
    row = connection.execute(f"PRAGMA {words}").fetchone()
    return None if row is None else row[0]
