"""The history of the desired state: who changed what when, and going back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from fastnlb.control.api.bodies import number, only
from fastnlb.control.api.changes import READ_ONLY, Changes, refusal
from fastnlb.control.api.errors import ApiError
from fastnlb.control.desired.desired import Desired
from fastnlb.control.desired.whole import exported
from fastnlb.control.desired.writes import Edited
from fastnlb.control.store.errors import NoSuchRevision
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Change, Document, Revision

MOST_REVISIONS = 1000
LARGEST = 2**53

T = TypeVar("T")
Number = Annotated[int, Path(ge=0, le=LARGEST)]


def routes(desired: Desired, changes: Changes) -> APIRouter:
    router = APIRouter(prefix="/api/v1/revisions", tags=["revisions"])

    @router.get("", summary="List revisions, the newest first")
    async def list_revisions(request: Request) -> dict[str, Any]:
        only(request, "limit", "before")
        limit = number(request, "limit", 50, 1, MOST_REVISIONS)
        before = number(request, "before", LARGEST, 1, LARGEST)
        found = await _read(lambda store: store.revisions(limit + 1, before))
        following = found[limit - 1].number if len(found) > limit else None
        return {"items": [_shown(each) for each in found[:limit]], "next": following}

    @router.get("/{revision}", summary="Show a revision: what it changed, and the whole state as of it")
    async def show_revision(request: Request, revision: Number) -> dict[str, Any]:
        only(request)

        def read(store: Store) -> dict[str, Any]:
            about = store.revision(revision)
            document = exported(desired.views_of(store.document(revision)))
            return {**_shown(about), "changes": _changes(store, about), "document": document}

        return await _read(read)

    @router.get("/{revision}/diff", summary="What another revision has otherwise")
    async def diff_revisions(request: Request, revision: Number) -> dict[str, Any]:
        only(request, "to")
        if "to" not in request.query_params:
            raise ApiError(HTTPStatus.BAD_REQUEST, "to is missing: the number of the other revision")
        other = number(request, "to", 0, 0, LARGEST)
        made = await _read(lambda store: store.diff(revision, other))
        return {"from": revision, "to": other, "changes": [_changed(each) for each in made]}

    @router.post("/{revision}/restore", summary="Make the state as of a revision the desired one again")
    async def restore_revision(request: Request, revision: Number) -> Response:
        only(request, "dry_run")

        def edit(_document: Document, store: Store) -> Edited:
            return Edited(store.document(revision))

        return await changes.make(request, edit, f"restore revision {revision}")

    async def _read(read: Callable[[Store], T]) -> T:
        if desired.loader is None:
            reason = f"there is no history: {desired.read_only_reason}"
            raise ApiError(HTTPStatus.CONFLICT, reason, code=READ_ONLY)
        store = desired.loader.store
        try:
            return await asyncio.to_thread(read, store)
        except Exception as error:
            raise refusal(error) from error

    return router


def _changes(store: Store, revision: Revision) -> list[dict[str, Any]] | None:
    """What it has otherwise than the one before; None of the oldest that is kept, whose parent is not any more."""
    try:
        return [_changed(each) for each in store.diff(revision.parent or 0, revision.number)]
    except NoSuchRevision:
        return None


def _shown(revision: Revision) -> dict[str, Any]:
    at = datetime.fromtimestamp(revision.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "number": revision.number,
        "at": at,
        "author": revision.author,
        "summary": revision.summary,
        "parent": revision.parent,
    }


def _changed(change: Change) -> dict[str, Any]:
    fields = {key: list(values) for key, values in change.fields.items()}
    return {"kind": change.kind, "name": change.name, "what": change.what, "fields": fields}
