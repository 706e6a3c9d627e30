"""The desired state as a whole: exported, applied, and what tags there are in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fastnlb.control.api.bodies import mapping, only
from fastnlb.control.api.changes import Changes
from fastnlb.control.desired.desired import Desired
from fastnlb.control.desired.kinds import LISTENERS, listed
from fastnlb.control.desired.whole import applied, exported
from fastnlb.control.desired.writes import Edited
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document


def routes(desired: Desired, changes: Changes) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["whole state"])

    @router.get("/export", summary="The whole desired state, without private keys")
    async def export(request: Request) -> dict[str, Any]:
        only(request)
        return exported(desired.views())

    @router.post("/apply", summary="Make a document the whole desired state")
    async def apply(request: Request) -> Response:
        only(request, "dry_run")
        sent = await mapping(request)

        def edit(document: Document, store: Store) -> Edited:
            return Edited(applied(document, sent, store))

        return await changes.make(request, edit, "apply a whole state", sent=sent)

    @router.get("/tags", summary="The tags of listeners, and how many have each")
    async def tags(request: Request) -> dict[str, Any]:
        only(request)
        found: dict[str, Counter[str]] = {}
        for listener in listed(desired.document, LISTENERS):
            for key, value in listener.get("tags", {}).items():
                found.setdefault(key, Counter())[value] += 1
        return {"items": [{"key": key, "values": dict(sorted(found[key].items()))} for key in sorted(found)]}

    return router
