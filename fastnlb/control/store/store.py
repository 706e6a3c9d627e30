"""The store: revisions of the desired state, each on disk before it is acknowledged.

A change is `stage`d (on disk, not yet the state), carried out by others, then `commit`ted or `discard`ed.  Whoever
opens the store after a crash finds the newest revision that was committed; what was staged is gone.

One process writes, holding a lock from its first write (or `acquire`) to its end; any number read.  Threads of one
process may share a Store.  It must not cross a fork: close it before.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastnlb.control.store import history
from fastnlb.control.store.database import connect, transaction
from fastnlb.control.store.diff import difference
from fastnlb.control.store.directory import DATABASE, LOCK, prepare
from fastnlb.control.store.errors import NoSuchRevision, StoreConflict, StoreError, translated
from fastnlb.control.store.lock import Lock
from fastnlb.control.store.material import FIELDS, GRACE_SECONDS, Material
from fastnlb.control.store.values import Change, Document, Remembered, Revision, Staged

KEPT_REVISIONS = 1000
TOKEN_SECONDS = 86_400  # for which an idempotency token is remembered
CACHED_STATES = 4
NEVER = float("inf")
LARGEST = 2**63 - 1  # number that SQLite has room for

log = logging.getLogger("fastnlb.control")


class Store:
    """A state directory that is open.  Every method raises StoreError, with one line, for what the disk does to it.

    `clock` gives Unix seconds.
    """

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], float] = time.time) -> Store:
        """The store in the directory `path`, made if there is none.  Raises StoreError.

        StateDirError: not to be had (permissions, another's, no state directory).
        """
        prepare(path)
        with translated(path / DATABASE):
            return cls(path, connect(path / DATABASE), Lock(path / LOCK), clock)

    @classmethod
    def open_alone(cls, path: Path, patience: float = 0.0) -> Store:
        """As `open` and `acquire`, and nobody else can read it: for a moment, at a start.  Raises StoreError.

        It works on a disk that is full, for as long as nothing is written.
        """
        prepare(path)
        lock = Lock(path / LOCK)
        with translated(path / DATABASE):
            lock.acquire(patience)
            try:
                store = cls(path, connect(path / DATABASE, alone=True), lock, time.time)
                store._clear()
            except BaseException:
                lock.release()
                raise
        return store

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: Lock, clock: Callable[[], float]) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock
        self._turn = threading.RLock()
        self._lock = lock
        self._material = Material(path)
        self._cache: dict[int, tuple[history.State, Document]] = {}
        self._staged: tuple[Staged, history.State] | None = None
        self._sweep_at = NEVER

    def close(self) -> None:
        """Lets go of everything.  What is staged is lost; the next one to write cleans up."""
        with self._turn:
            self._connection.close()
            self._lock.release()

    # Reading

    def head(self) -> Revision | None:
        """The newest revision, which is the desired state; None for a store that never had one."""
        with self._reading():
            return next(iter(self._revisions(1, None)), None)

    def document(self, number: int | None = None) -> Document:
        """The desired state as of a revision, the newest by default; lists that are empty when there is none.

        The same object for as long as it is in demand: read it, and change a copy.  Raises NoSuchRevision.
        """
        with self._reading():
            if number is None:
                number = self._head_number()
            elif self._revision(number) is None:
                raise NoSuchRevision(f"there is no revision {number}")
            return self._at(number)[1]

    def revision(self, number: int) -> Revision:
        """Raises NoSuchRevision."""
        with self._reading():
            found = self._revision(number)
        if found is None:
            raise NoSuchRevision(f"there is no revision {number}")
        return found

    def revisions(self, limit: int = 100, before: int | None = None) -> list[Revision]:
        """The newest first, up to `limit`, from below `before` on; the last 1,000 are kept."""
        with self._reading():
            return self._revisions(limit, before)

    def diff(self, old: int, new: int) -> list[Change]:
        """What `new` has otherwise than `old`; 0 is the state before the first revision.  Raises NoSuchRevision."""
        with self._reading():
            for number in (old, new):
                if number and self._revision(number) is None:
                    raise NoSuchRevision(f"there is no revision {number}")
            return difference(self._at(old)[0], self._at(new)[0])

    def recall(self, token: str) -> Remembered | None:
        """What was answered to the request with this token within the last 24 hours."""
        query = "SELECT token, signature, status, answer FROM answers WHERE token = ? AND at > ?"
        with self._reading():
            row = self._connection.execute(query, (token, self._clock() - TOKEN_SECONDS)).fetchone()
        return None if row is None else Remembered(*row)

    def read_material(self, reference: str) -> bytes:
        """The PEM or DER that `material/<digest>.pem|crl|der` stands for; never a key.  Raises StoreError."""
        with translated(self.path):
            return self._material.read(reference)

    # Writing

    @property
    def writable(self) -> bool:
        """Whether this process has the right to write."""
        return self._lock.held

    def acquire(self, patience: float = 0.0) -> None:
        """The right to write, until `close`.  Every method that writes asks for it by itself.

        Raises StoreBusy when another process, which is named, has it for all of `patience` seconds: try again later.
        """
        with self._turn, translated(self.path):
            if self._lock.held:
                return
            self._lock.acquire(patience)
            self._clear()

    def take_in(self, data: bytes, suffix: str) -> str:
        """Keeps certificates ("pem"), a key ("key"), revocation lists ("crl") or an OCSP response ("der").

        The reference to write into a block, `material/<digest>.<suffix>`.  A revision has to name it within ten
        minutes.
        """
        return self.take_in_all([(data, suffix)])[0]

    def take_in_all(self, items: Iterable[tuple[bytes, str]]) -> list[str]:
        """As `take_in` for each (data, suffix)."""
        with self._writing():
            self._sweep_at = min(self._sweep_at, time.monotonic() + GRACE_SECONDS)
            return self._material.take_in_all(items)

    def stage(self, document: Document, author: str, summary: str, *, expected_head: int | None) -> Staged:
        """A change to `document`, which has to be a checked one, on disk.  Raises StoreError; then all is as it was.

        `expected_head` is the number of the revision the change was made from, None for no revision.  StoreConflict:
        that is not the newest one, or another change is staged.  StoreFull: no space is left.
        """
        with self._writing():
            if self._staged is not None:
                raise StoreConflict("another change is being made: try again")
            with transaction(self._connection):
                self._drop_staged()
                staged, state = self._stage(document, author, summary, expected_head)
            self._staged = (staged, state)
            return staged

    def commit(self, staged: Staged, *, idempotency: Remembered | None = None) -> Revision:
        """Makes it the state, and in the same moment remembers the answer to who asked for it.  Raises StoreError.

        After an error it is still staged.
        """
        with self._writing():
            state = self._state_of(staged)
            with transaction(self._connection):
                now = int(self._clock())
                update = "UPDATE revisions SET state = 'committed', at = ? WHERE number = ? AND state = 'staged'"
                if self._connection.execute(update, (now, staged.number)).rowcount != 1:
                    raise StoreError(f"revision {staged.number} is not staged any more")
                if idempotency is not None:
                    self._remember(idempotency)
                pruned = history.forget_before(self._connection, staged.number - KEPT_REVISIONS + 1)
                revision = self._revisions(1, None)[0]  # now: once it is committed nothing may go wrong any more
            self._staged = None
            self._keep(staged.number, state, staged.document)
            self._sweep_if_due(pruned)
            return revision

    def discard(self, staged: Staged) -> None:
        """It comes to nothing.  Never fails: what cannot be cleaned up now is at the next change."""
        with self._turn:
            if self._staged is None or self._staged[0] is not staged:
                return
            self._staged = None
            with suppress(StoreError), self._writing():
                with transaction(self._connection):
                    self._drop_staged()
                self._sweep()

    def remember(self, answer: Remembered) -> None:
        """For 24 hours, for whoever asks the same again; `commit` does it for a request that changed something."""
        with self._writing(), transaction(self._connection):
            self._remember(answer)

    # Within a turn

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._turn, translated(self.path / DATABASE):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading():
            self.acquire()
            yield

    def _revisions(self, limit: int, before: int | None) -> list[Revision]:
        query = (
            "SELECT number, at, author, summary, parent FROM revisions"
            " WHERE state = 'committed' AND (? IS NULL OR number < ?) ORDER BY number DESC LIMIT ?"
        )
        before = None if before is None else max(0, min(before, LARGEST))
        return [Revision(*row) for row in self._connection.execute(query, (before, before, min(limit, LARGEST)))]

    def _revision(self, number: int) -> Revision | None:
        return next((each for each in self._revisions(1, number + 1) if each.number == number), None)

    def _head_number(self) -> int:
        query = "SELECT coalesce(max(number), 0) FROM revisions WHERE state = 'committed'"
        return int(self._connection.execute(query).fetchone()[0])

    def _at(self, number: int) -> tuple[history.State, Document]:
        kept = self._cache.pop(number, None)
        if kept is None:
            state = history.state_at(self._connection, number)
            kept = (state, history.document_of(state))
        return self._keep(number, *kept)

    def _keep(self, number: int, state: history.State, document: Document) -> tuple[history.State, Document]:
        self._cache[number] = (state, document)
        while len(self._cache) > CACHED_STATES:
            del self._cache[next(iter(self._cache))]
        return self._cache[number]

    def _stage(
        self, document: Document, author: str, summary: str, expected_head: int | None
    ) -> tuple[Staged, history.State]:
        head = self._head_number()
        if head != (expected_head or 0):
            raise StoreConflict(f"revision {head} is the newest, not {expected_head or 0}: look at it, and try again")
        before = self._at(head)[0]
        after = history.arranged(before, document)
        changed = history.moves(before, after)
        self._check_material(changed)
        number, parent = head + 1, head or None
        insert = "INSERT INTO revisions VALUES (?, ?, ?, ?, 'staged', ?)"
        self._connection.execute(insert, (number, int(self._clock()), _text(author), _text(summary), parent))
        history.write(self._connection, number, changed)
        return Staged(number, parent, history.document_of(after)), after

    def _check_material(self, changed: Iterable[history.Move]) -> None:
        for move in changed:
            if move.row is not None:
                for key in FIELDS.get(move.kind, ()):
                    reference = move.row.body.get(key)
                    if reference is not None and not self._material.has(reference):
                        raise StoreError(f"{key} of {move.name} is not in the store: send it along")

    def _state_of(self, staged: Staged) -> history.State:
        if self._staged is None or self._staged[0] is not staged:
            raise StoreError(f"revision {staged.number} is not staged any more")
        return self._staged[1]

    def _clear(self) -> None:
        """What a process that is no more has left behind goes, now or with the next change."""
        with suppress(sqlite3.Error), transaction(self._connection):
            self._drop_staged()
        self._sweep()

    def _drop_staged(self) -> None:
        for (number,) in self._connection.execute("SELECT number FROM revisions WHERE state = 'staged'").fetchall():
            history.take_back(self._connection, number)

    def _remember(self, answer: Remembered) -> None:
        now = int(self._clock())
        self._connection.execute("DELETE FROM answers WHERE at <= ?", (now - TOKEN_SECONDS,))
        row = (answer.token, answer.signature, answer.status, answer.answer_json, now)
        self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def _sweep_if_due(self, now: bool) -> None:
        if now or time.monotonic() >= self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        """A file too many harms nobody: whatever hinders this is said, and tried again."""
        try:
            self._sweep_at = self._material.sweep(history.material_named(self._connection))
        except (OSError, sqlite3.Error) as error:
            log.warning("%s: cannot clear material that nothing names: %s", self.path, error)


def _text(text: str) -> str:
    """Half a surrogate pair has no place in a database."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
