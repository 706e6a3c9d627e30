"""A change from request to revision: edited, checked, planned, on disk, served by every worker, acknowledged.

One at a time.  What is refused on the way has changed nothing; a process that dies on the way leaves a store whose
newest revision is the last one that was acknowledged, and its heir serves that.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import Loaded
from fastnlb.config.plan import plan
from fastnlb.control.desired.edits import ConflictError
from fastnlb.control.desired.faults import Focus, described
from fastnlb.control.desired.kinds import same
from fastnlb.control.naming import addresses_in, with_addresses
from fastnlb.control.store.loader import StoreLoader
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document, Remembered, Staged

if TYPE_CHECKING:
    from fastnlb.control.commands import Outcome
    from fastnlb.control.run import Control

OK, CREATED = 200, 201

log = logging.getLogger("fastnlb.control")


class Invalid(Exception):  # noqa: N818 - reads as what it says
    """The document that would come of it is refused; `errors` are faults.described."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f"{each['path']}: {each['message']}" for each in errors))
        self.errors = errors
        self.code = next((each["code"] for each in errors if "code" in each), "")


class Refused(Exception):  # noqa: N818 - reads as what it says
    """The daemon does not serve it, and serves what it did; `lines` say why.  `later`: it may be tried again."""

    def __init__(self, lines: tuple[str, ...], *, later: bool = False) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
        self.later = later


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit makes of a document; `focus` is the resource that it is about, `created` whether it is new."""

    document: Document
    focus: Focus | None = None
    created: bool = False


Edit = Callable[[Document, Store], Edited]
"""Runs in a thread.  Material that is sent goes to the store; nothing else is written."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that somebody wants.  `token` and `signature` tell a repeated request from a new one."""

    edit: Edit
    author: str
    summary: str
    dry_run: bool = False
    token: str = ""
    signature: str = ""

    @property
    def remembered(self) -> bool:
        """Whether it is done once however often it is sent."""
        return bool(self.token) and not self.dry_run

    @property
    def key(self) -> str:
        """Each author has tokens of their own."""
        return f"{self.author} {self.token}"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it.  `revision` None: a dry run.  `lines`: what changes, for a person."""

    document: Document
    revision: int | None
    lines: list[str] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "dry_run": self.revision is None,
            "lines": self.lines,
            "warnings": self.warnings,
        }


Answer = Callable[[Made], dict[str, Any]]
"""The answer to a change, before it is acknowledged: it is remembered together with it."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a wish has ended.  `repeated`: long ago, and this is what was answered then."""

    answer: dict[str, Any]
    created: bool
    repeated: bool = False


class Writer:
    """All changes of a daemon with a store."""

    def __init__(self, control: Control, loader: StoreLoader) -> None:
        self._control = control
        self._loader = loader
        self._turn = asyncio.Lock()

    async def make(self, wish: Wish, answer: Answer) -> Done:
        """Raises EditError, Invalid, Refused or StoreError, and then nothing has changed.

        Who asks and leaves does not stop it halfway.
        """
        work = self._control.loop.create_task(self._in_turn(wish, answer))
        return await asyncio.shield(work)

    async def _in_turn(self, wish: Wish, answer: Answer) -> Done:
        async with self._turn:
            store = self._loader.store
            if wish.remembered and (known := await asyncio.to_thread(store.recall, wish.key)) is not None:
                return _repeated(wish, known)
            head = await asyncio.to_thread(store.head)
            edited, loaded = await asyncio.to_thread(self._prepared, wish, store)
            made = self._planned(edited, loaded)
            if wish.dry_run:
                return Done(answer(made), edited.created)
            if head is not None and not made.lines and same(edited.document, store.document(head.number)):
                done = Done(answer(Made(store.document(head.number), head.number, [], made.warnings)), edited.created)
                if wish.remembered:
                    await asyncio.to_thread(store.remember, _to_remember(wish, done))
                return done
            return await self._carried_out(wish, edited, made, None if head is None else head.number, answer)

    def _prepared(self, wish: Wish, store: Store) -> tuple[Edited, Loaded]:
        """In a thread: certificates take their time."""
        edited = wish.edit(store.document(), store)
        try:
            return edited, self._loader.check(edited.document)
        except ConfigError as error:
            errors = (problem for problem in error.problems if not problem.warning)
            raise Invalid(described(errors, edited.document, edited.focus)) from None

    def _planned(self, edited: Edited, loaded: Loaded) -> Made:
        in_force = self._control.offer.snapshot
        wanted = with_addresses(loaded.snapshot, addresses_in(in_force))
        warnings = described(loaded.warnings, edited.document, edited.focus)
        return Made(edited.document, None, plan(in_force, wanted).describe(), warnings)

    async def _carried_out(self, wish: Wish, edited: Edited, made: Made, head: int | None, answer: Answer) -> Done:
        store = self._loader.store
        staged = await asyncio.to_thread(store.stage, made.document, wish.author, wish.summary, expected_head=head)
        self._loader.staged = staged  # until it is decided: whoever reloads before that has to load it too
        try:
            outcome = await self._control.commands.done("change", self._unless_served)
            if outcome.accepted:
                served = Made(staged.document, staged.number, made.lines, made.warnings)
                return await self._promised(wish, staged, lambda: Done(answer(served), edited.created))
        finally:
            self._loader.staged = None
        self._loader.revision = head or 0  # what was loaded last is not what is served
        await asyncio.to_thread(store.discard, staged)
        raise Refused(outcome.lines, later=outcome.later)

    def _unless_served(self, outcome: Outcome) -> None:
        """What was refused must not be loaded by the next reload, which may find that it can be served."""
        if not outcome.accepted:
            self._loader.staged = None

    async def _promised(self, wish: Wish, staged: Staged, answer: Callable[[], Done]) -> Done:
        """What is served is committed together with its answer, or served no more."""
        store = self._loader.store
        try:
            done = answer()
            remembered = _to_remember(wish, done) if wish.remembered else None
            await asyncio.to_thread(store.commit, staged, idempotency=remembered)
        except BaseException:
            self._loader.staged = None
            await asyncio.to_thread(store.discard, staged)
            back = await self._control.commands.done("change")
            if not back.accepted:
                log.error("revision %d is served and not on disk: %s", staged.number, "; ".join(back.lines))
            raise
        return done


def _to_remember(wish: Wish, done: Done) -> Remembered:
    return Remembered(wish.key, wish.signature, CREATED if done.created else OK, json.dumps(done.answer))


def _repeated(wish: Wish, known: Remembered) -> Done:
    """Raises ConflictError when it was another request."""
    if known.signature != wish.signature:
        raise ConflictError("this Idempotency-Key was used for another request", "IdempotenceSignatureMismatch")
    return Done(json.loads(known.answer_json), known.status == CREATED, repeated=True)
