"""Resources of each kind, from listeners to security policies: list, show, create, change, delete."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastnlb.control.api.bodies import check_match, mapping, names, number, only
from fastnlb.control.api.changes import Changes, refusal
from fastnlb.control.desired.desired import Desired
from fastnlb.control.desired.edits import (
    ConflictError,
    InvalidError,
    MissingError,
    add,
    find,
    has,
    merged,
    named,
    put,
    refuse_system,
    refuse_unknown_nulls,
    remove,
    writable,
)
from fastnlb.control.desired.kinds import CERTIFICATES, KINDS, Kind
from fastnlb.control.desired.pages import MOST_ITEMS, Filter, page, tags_of
from fastnlb.control.desired.sent import FIELDS, as_block
from fastnlb.control.desired.state import Views, etag_of
from fastnlb.control.desired.writes import Edited, Made
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document

JSON_KINDS = ("application/json", "application/merge-patch+json")


def routes(desired: Desired, changes: Changes) -> APIRouter:
    router = APIRouter()
    for kind in KINDS:
        _Resource(kind, desired, changes).add_to(router)
    return router


class _Resource:
    """The routes of one kind."""

    def __init__(self, kind: Kind, desired: Desired, changes: Changes) -> None:
        self._kind = kind
        self._desired = desired
        self._changes = changes

    def add_to(self, router: APIRouter) -> None:
        kind, base = self._kind, f"/api/v1/{self._kind.path}"
        one = f"{base}/{{name}}"
        key = kind.key
        for method, path, endpoint, what in (
            ("GET", base, self.list_all, f"List {kind.noun}s"),
            ("POST", base, self.create, f"Create a {kind.noun}"),
            ("GET", one, self.show, f"Show a {kind.noun}"),
            ("PUT", one, self.replace, f"Create a {kind.noun}, or replace it whole"),
            ("PATCH", one, self.update, f"Change a {kind.noun} (RFC 7396 merge patch)"),
            ("DELETE", one, self.delete, f"Delete a {kind.noun}"),
        ):
            name = f"{endpoint.__name__}_{key}"
            router.add_api_route(path, endpoint, methods=[method], summary=what, tags=[kind.path], operation_id=name)

    # Reading

    async def list_all(self, request: Request) -> Response:
        only(request, "tag", "name", "protocol", "limit", "cursor")
        query = request.query_params
        limit = number(request, "limit", 100, 1, MOST_ITEMS)
        try:
            wanted = Filter(query.get("name", ""), query.get("protocol", ""), tags_of(query.getlist("tag")))
            views = self._desired.views()
            found, following, total = page(views.items(self._kind), wanted, limit, query.get("cursor"))
        except Exception as error:
            raise refusal(error) from error
        return JSONResponse(
            {"items": [views.of(self._kind, item) for item in found], "next": following, "total": total}
        )

    async def show(self, request: Request, name: str) -> Response:
        only(request)
        shown = self._shown(self._desired.views(), name)
        etag = f'"{shown["etag"]}"'
        if names(request.headers.get("if-none-match", ""), shown["etag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
        return JSONResponse(shown, headers={"ETag": etag})

    # Changing

    async def create(self, request: Request) -> Response:
        only(request, "dry_run")
        sent = writable(await mapping(request))
        kind, name = self._kind, sent.get("name")
        if not isinstance(name, str):
            error = InvalidError(f"missing: how this {kind.noun} is called", "name")
            raise refusal(error) from error

        def edit(document: Document, store: Store) -> Edited:
            return Edited(add(document, kind, as_block(kind, sent, None, store)), (kind, name), created=True)

        response = await self._changes.make(request, edit, f"create {kind.noun} {name}", self._show(name), sent=sent)
        response.headers["Location"] = f"/api/v1/{kind.path}/{quote(name)}"
        return response

    async def replace(self, request: Request, name: str) -> Response:
        only(request, "dry_run")
        sent = writable(await mapping(request))
        kind = self._kind

        def edit(document: Document, store: Store) -> Edited:
            item = named(sent, name)
            if not has(document, kind, name):
                check_match(request, None, None)
                return Edited(add(document, kind, as_block(kind, item, None, store)), (kind, name), created=True)
            held = self._held(request, document, name)
            return Edited(put(document, kind, as_block(kind, item, held, store, whole=True)), (kind, name))

        what = "replace" if has(self._desired.document, kind, name) else "create"
        summary = f"{what} {kind.noun} {name}"
        return await self._changes.make(request, edit, summary, self._show(name), sent=sent)

    async def update(self, request: Request, name: str) -> Response:
        only(request, "dry_run")
        sent = writable(await mapping(request, JSON_KINDS))
        kind = self._kind

        def edit(document: Document, store: Store) -> Edited:
            held = self._held(request, document, name)
            refuse_unknown_nulls(sent, (*kind.block.model_fields, *FIELDS.get(kind.key, ())))
            if kind.key in FIELDS:
                kept = {key: value for key, value in held.items() if key not in FIELDS[kind.key].values()}
                item = as_block(kind, {**merged(kept, sent), **_given(kind, sent)}, held, store)
            else:
                item = merged(held, sent)
            return Edited(put(document, kind, named(item, name)), (kind, name))

        summary = f"update {kind.noun} {name}: {', '.join(sent)}"
        return await self._changes.make(request, edit, summary, self._show(name), sent=sent)

    async def delete(self, request: Request, name: str) -> Response:
        only(request, "dry_run")
        kind = self._kind

        def edit(document: Document, _store: Store) -> Edited:
            self._held(request, document, name)
            if kind is CERTIFICATES and name == self._desired.admin_certificate:
                raise ConflictError(f"certificate {name} is that of the admin port (admin.certificate)", kind.in_use)
            return Edited(remove(document, kind, name), (kind, name))

        return await self._changes.make(request, edit, f"delete {kind.noun} {name}")

    # Parts

    def _shown(self, views: Views, name: str) -> dict[str, Any]:
        """Raises ApiError."""
        for item in views.items(self._kind):
            if item["name"] == name:
                return views.of(self._kind, item)
        error = MissingError(f"there is no {self._kind.noun} {name}", self._kind.not_found)
        raise refusal(error) from error

    def _show(self, name: str) -> Callable[[Made], dict[str, Any]]:
        return lambda made: self._shown(self._desired.views_of(made.document), name)

    def _held(self, request: Request, document: Document, name: str) -> dict[str, Any]:
        """What there is, if it is what the client knows.  Raises EditError and ApiError."""
        refuse_system(self._kind, name)
        held = find(document, self._kind, name)
        check_match(request, etag_of(held), self._desired.views_of(document).of(self._kind, held))
        return held


def _given(kind: Kind, sent: dict[str, Any]) -> dict[str, Any]:
    """What a merge would take away: null for material says that it is to go."""
    return {key: value for key, value in sent.items() if key in (*FIELDS[kind.key], "self_signed")}
