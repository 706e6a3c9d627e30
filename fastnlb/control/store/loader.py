"""The loader of a daemon in store mode: settings from a file, if there is one, and what is served from the store.

The file is read anew at each load.  What it has of listeners and so on is imported once, into a store that is empty,
as revision 1; later it is left aside, with a warning.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastnlb.config.build import RESOURCES, Built, Loaded, Source, assemble, open_source, read_settings, resources
from fastnlb.config.errors import NOWHERE, ConfigError, Mark, Places, Problem, Where, count, show_path
from fastnlb.control.store.directory import DATABASE, prepare
from fastnlb.control.store.errors import StateDirError, StoreError
from fastnlb.control.store.importing import taken_in
from fastnlb.control.store.material import FIELDS, REFERENCE
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document, Staged
from fastnlb.privileges import Identity, PrivilegeError, acting_as, identity
from fastnlb.tls.cache import MaterialCache

IMPORTED_BY = "import"
ENOUGH_TO_END = 1.0  # seconds that a daemon which is being replaced has to let go
log = logging.getLogger("fastnlb.control")

_NO_FILE: Mapping[str, Any] = {"version": 1}


class StoreLoader:
    """Configurations from `state_dir`, with the settings of the file `base`.  Nothing is opened before it is needed.

    `staged`: what the next load gives in place of the newest revision; whoever stages a change sets it, and sets it
    to None when that is decided.  For one process at a time: `close` before a fork.  Its threads take turns.
    """

    acknowledged = True

    def __init__(
        self,
        state_dir: str | os.PathLike[str],
        base: str | os.PathLike[str] | None = None,
        *,
        workers_override: int | None = None,
    ) -> None:
        self._path = Path(state_dir).absolute()
        self._base = None if base is None else Path(base).absolute()
        self._workers_override = workers_override
        self._turn = threading.RLock()
        self._cache = MaterialCache()
        self._good: Built | None = None
        self._read: Source | None = None  # the settings of the last good load
        self._in_force: Source | None = None  # those that are in force; None when nobody can say
        self._checked: Built | None = None
        self._store: Store | None = None
        self._owner: Identity | None = None
        self.staged: Staged | None = None
        self.revision: int | None = None
        """Which revision the last good load was of, 0 for a store without one; None before the first."""

    @property
    def store(self) -> Store:
        """The store, opened for this process; the one that the API has to use.  Raises StoreError."""
        with self._turn:
            if self._store is None:
                self._store = Store.open(self._path)
            return self._store

    def close(self) -> None:
        """Lets go of the store; it is opened again when it is needed."""
        if self._store is not None:
            with self._as_owner():
                self._store.close()
            self._store = None

    def start(self, *, alone: bool = True) -> Loaded:
        """The load before a daemon's first fork.  Raises ConfigError, StoreError; the store is closed afterwards.

        The state directory is made, and handed to the `user` of the settings when root starts it.  StoreBusy: `alone`
        and another daemon writes it.
        """
        self._owner = _heir(self._user())
        prepare(self._path, self._owner)
        try:
            if alone:
                with self._as_owner():
                    self._store = Store.open_alone(self._path, ENOUGH_TO_END)
            return self.load()
        finally:
            self.close()
            self._owner = None  # from here on it is the process that is somebody else

    # The Loader of Reloads

    @property
    def behind(self) -> bool:
        """Whether there is a newer revision than the one loaded last, as when one was made in a hot restart."""
        try:
            head = self.store.head()
        except StoreError as error:
            log.error("%s", error)
            return False
        return (0 if head is None else head.number) != self.revision

    def load(self, *, whole: bool = True) -> Loaded:
        """What is staged, else the newest revision, with the settings as they are now.  Not `whole`: with those in
        force, as whoever changes a listener is not to answer for an edit of the file.

        Raises ConfigError with every problem, StoreError; then the last good load counts on.
        """
        with self._turn:
            return self._load(None if whole else self._in_force)

    def settle(self, known: bool) -> None:
        """The settings read last are in force; not `known`: which are is not known before the next time."""
        with self._turn:
            self._in_force = self._read if known else None

    def _load(self, settings: Source | None) -> Loaded:
        base = settings or self._read_base()
        wanted = self._wanted(base)
        imported = None
        if wanted is None:
            imported = assemble(base, self._cache)
            wanted = self._import(imported)
        revision, document = wanted
        left_aside = tuple(_left_aside(base)) if revision and imported is None else ()
        good = self._built(self._with_settings(base, document, left_aside))
        if imported is not None:  # what was odd about its files is said in their words
            good = replace(good, loaded=replace(good.loaded, warnings=imported.loaded.warnings))
        self._good, self._checked, self.revision = good, None, revision
        self._read = base
        return good.loaded

    def refresh(self) -> Loaded:
        """The last good load, which has to exist, made again: what has expired since is a warning."""
        with self._turn:
            good = self._last()
            self._good = self._assembled(good.source, previous=good)
            return self._good.loaded

    def files(self) -> frozenset[Path]:
        """None: material never changes."""
        return frozenset()

    def staple_files(self) -> frozenset[Path]:
        """None either: a new OCSP response is a new revision."""
        return frozenset()

    # For those who change the state

    def check(self, document: Document) -> Loaded:
        """What the document would be, with the settings in force, else those of the last load, which has to exist.
        Nothing is kept.

        Raises ConfigError, with problems whose path is like `listeners[3].port`.  To load it next costs little.
        """
        problems = [*_strangers(document), *_paths(document)]
        if problems:  # and no path is looked at: what a message says of a file could be told to anybody
            raise ConfigError(problems)
        with self._turn:
            good = replace(self._in_force or self._last().source, problems=())
            self._checked = self._assembled(self._with_settings(good, document), keep=True)
            return self._checked.loaded

    # Parts

    def _last(self) -> Built:
        if self._good is None:
            raise RuntimeError("there has been no good load yet")
        return self._good

    def _read_base(self) -> Source:
        if self._base is None:
            return Source(_NO_FILE, NOWHERE, self._path, self._workers_override, os.fspath(self._path))
        return open_source(self._base, self._workers_override)

    def _user(self) -> str | None:
        """Of the settings, which have to be good before anything is made on disk."""
        base = self._read_base()
        try:
            return read_settings(base).user
        except ConfigError:
            if not (self._path / DATABASE).exists():
                assemble(base, self._cache)  # which says all that is wrong, also with what would be imported
            raise

    def _wanted(self, base: Source) -> tuple[int, Document] | None:
        """The revision that is to be served, and its document; None: what the file has is to be imported."""
        if self.staged is not None:
            return self.staged.number, self.staged.document
        with self._as_owner():
            head = self.store.head()
            if head is not None:
                return head.number, self.store.document(head.number)
        named = isinstance(base.data, dict) and any(base.data.get(kind) for kind in RESOURCES)
        return None if named else (0, resources(None))

    def _import(self, built: Built) -> tuple[int, Document]:
        found = sum(map(len, built.loaded.document.values()))
        summary = f"{count(found, 'resource')} of {built.source.file}"
        with self._as_owner():
            document = taken_in(built, self.store)
            staged = self.store.stage(document, IMPORTED_BY, summary, expected_head=None)
            self.store.commit(staged)
        return staged.number, staged.document

    def _with_settings(self, base: Source, document: Document, problems: tuple[Problem, ...] = ()) -> Source:
        """The settings of `base` and what the document has, as one source."""
        if not isinstance(base.data, dict):
            return base
        data = {key: value for key, value in base.data.items() if key not in RESOURCES}
        return replace(
            base,
            data={**data, **document},
            places=_Settings(base.places),
            problems=(*base.problems, *problems),
            material_dir=self._path,
        )

    def _built(self, source: Source) -> Built:
        """The source as a configuration; the work of a check just before is not done twice."""
        known = self._checked
        good_so_far = all(problem.warning for problem in source.problems)
        if known is None or not good_so_far or known.source.data != source.data:
            return self._assembled(source)
        self._cache.end()
        warnings = tuple(sorted({*known.loaded.warnings, *source.problems}))
        return replace(known, source=source, loaded=replace(known.loaded, warnings=warnings))

    def _assembled(self, source: Source, *, previous: Built | None = None, keep: bool = False) -> Built:
        try:
            built = assemble(source, self._cache, None if previous is None else previous.material, keep=keep)
        except ConfigError as error:
            raise ConfigError(self._placed(error.problems)) from None
        return replace(built, loaded=replace(built.loaded, warnings=tuple(self._placed(built.loaded.warnings))))

    def _placed(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """What is wrong with a resource is not in the file that the settings are from."""
        for problem in problems:
            ours = not problem.line and problem.path.partition("[")[0] in RESOURCES
            yield replace(problem, file=os.fspath(self._path)) if ours else problem

    @contextmanager
    def _as_owner(self) -> Iterator[None]:
        """In the start as root: what the control process will not be able to do, it is not to begin with."""
        try:
            with acting_as(self._owner):
                yield
        except PrivilegeError as error:
            raise StateDirError(f"{self._path}: {error}") from None


class _Settings(Places):
    """The places of a file, as far as its settings go."""

    def __init__(self, file: Places) -> None:
        self._file = file

    def value(self, where: Where) -> Mark:
        return (0, 0) if where[:1] and where[0] in RESOURCES else self._file.value(where)

    def key(self, where: Where) -> Mark:
        return (0, 0) if where[:1] and where[0] in RESOURCES else self._file.key(where)


def _heir(user: str | None) -> Identity | None:
    """Whom the control process will be."""
    if user is None or os.geteuid() != 0:
        return None
    try:
        return identity(user)
    except PrivilegeError as error:
        raise StateDirError(str(error)) from None


def _left_aside(base: Source) -> Iterator[Problem]:
    named = [kind for kind in RESOURCES if isinstance(base.data, dict) and base.data.get(kind)]
    if named:
        message = f"{', '.join(named)}: ignored, because the state directory has its own"
        message += f"; fastnlb apply -f {base.file} puts these in their place"
        first = min(named, key=lambda kind: base.places.key((kind,)))
        yield Problem(*base.places.key((first,)), "", message, warning=True)


def _strangers(document: Document) -> Iterator[Problem]:
    for key in document:
        if key not in RESOURCES:
            message = f"not a kind of resource: the kinds are {', '.join(RESOURCES)}"
            yield Problem(0, 0, show_path((key,)), message)


def _paths(document: Document) -> Iterator[Problem]:
    """Of certificates and keys the store has copies, and nothing else is named."""
    for kind, fields in FIELDS.items():
        blocks = document.get(kind)
        for index, block in enumerate(blocks if isinstance(blocks, list) else []):
            for key in (*fields, "private_key_passphrase_file"):
                value = block.get(key) if isinstance(block, dict) else None
                if isinstance(value, str) and not REFERENCE.fullmatch(value):
                    message = "a path in place of what the file holds: send the PEM text (a key without a passphrase)"
                    yield Problem(0, 0, show_path((kind, index, key)), message)
