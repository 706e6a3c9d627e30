"""What listeners do besides being resources: start, stop, and the health of their servers; and quick creation."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fastnlb.board import Health
from fastnlb.control.api.bodies import mapping, only
from fastnlb.control.api.changes import Changes, refusal
from fastnlb.control.desired import quick
from fastnlb.control.desired.desired import Desired
from fastnlb.control.desired.edits import find, put
from fastnlb.control.desired.kinds import LISTENERS
from fastnlb.control.desired.writes import Edited, Made
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document

if TYPE_CHECKING:
    from fastnlb.control.run import Control

STATUS = {
    Health.HEALTHY.name: "Normal",
    Health.INITIAL.name: "Initial",
    Health.UNHEALTHY.name: "Unhealthy",
    Health.UNAVAILABLE.name: "Unavailable",
}
"""What the reference API calls the states of a server."""


def routes(control: Control, desired: Desired, changes: Changes) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["listeners"])

    @router.post("/listeners/{name}/start", summary="Accept connections")
    async def start_listener(request: Request, name: str) -> Response:
        return await _switch(request, name, True)

    @router.post("/listeners/{name}/stop", summary="Accept no more connections; those there are go on")
    async def stop_listener(request: Request, name: str) -> Response:
        return await _switch(request, name, False)

    @router.get("/listeners/{name}/health", summary="How the servers of a listener are")
    async def listener_health(request: Request, name: str) -> dict[str, Any]:
        only(request)
        try:
            listener = find(desired.document, LISTENERS, name)
        except Exception as error:
            raise refusal(error) from error
        return _health(listener)

    @router.post("/quick", summary="Create a listener with all it needs at once", status_code=HTTPStatus.CREATED)
    async def quick_creation(request: Request) -> Response:
        only(request, "dry_run")
        sent = await mapping(request)
        try:
            wish = quick.wish_of(sent)
        except Exception as error:
            raise refusal(error) from error

        def edit(document: Document, store: Store) -> Edited:
            return Edited(quick.applied(document, wish, store), (LISTENERS, wish.name), created=True)

        def show(made: Made) -> dict[str, Any]:
            created = [f"{kind.path}/{wish.name}" for kind in wish.creates]
            return {"listener": _shown(made, wish.name), "created": created}

        summary = f"quick creation of {wish.name}"
        return await changes.make(request, edit, summary, show, sent=sent)

    async def _switch(request: Request, name: str, enabled: bool) -> Response:
        only(request, "dry_run")

        def edit(document: Document, _store: Store) -> Edited:
            held = find(document, LISTENERS, name)
            return Edited(put(document, LISTENERS, {**held, "enabled": enabled}), (LISTENERS, name))

        summary = f"{'start' if enabled else 'stop'} listener {name}"
        return await changes.make(request, edit, summary, lambda made: _shown(made, name))

    def _shown(made: Made, name: str) -> dict[str, Any]:
        return desired.views_of(made.document).of(LISTENERS, find(made.document, LISTENERS, name))

    def _health(listener: dict[str, Any]) -> dict[str, Any]:
        views = desired.views()
        groups = {each.name: each for each in control.offer.snapshot.server_groups}
        group = groups.get(listener["server_group"])
        servers = [] if group is None else [views.server(group, server) for server in group.servers]
        return {
            "listener": listener["name"],
            "server_group": listener["server_group"],
            "health_check_enabled": group is not None and group.health_check is not None,
            "servers": [
                {
                    **{key: each[key] for key in ("address", "port", "weight", "connections")},
                    "status": STATUS[each["health"]],
                    "reason_code": each["reason"],
                }
                for each in servers
            ],
        }

    return router
