"""The daemon itself: how it is, and what it is told to do.

A command is answered when it is done: `reload` and `upgrade` when the new state serves, or with 409 and why not.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fastnlb.config.tokens import WRITE
from fastnlb.control.api.bodies import caller_of
from fastnlb.control.api.errors import LATER, ApiError
from fastnlb.control.api.gate import FORBIDDEN
from fastnlb.control.commands import Outcome
from fastnlb.control.desired.desired import Desired
from fastnlb.control.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from fastnlb.control.run import Control


def routes(control: Control, desired: Desired) -> APIRouter:
    router = APIRouter(tags=["daemon"])

    @router.get("/healthz", response_class=PlainTextResponse, summary="Whether this process answers")
    async def healthz() -> str:
        return "ok\n"

    @router.get("/readyz", response_class=PlainTextResponse, summary="Whether every worker accepts connections")
    async def readyz() -> str:
        workers = control.state.get("workers", [])
        missing = [str(each["index"]) for each in workers if each["state"] != "serving"]
        if missing or not workers:
            detail = f"not accepting: workers {', '.join(missing)}" if missing else "there are no workers"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        return "ready\n"

    @router.get("/metrics", response_class=Response, summary="Everything that is counted, for Prometheus")
    async def metrics() -> Response:
        return Response(await asyncio.to_thread(control.metrics.exposition), media_type=CONTENT_TYPE)

    @router.get("/api/v1/status", summary="The daemon, its workers, listeners and servers at this moment")
    async def status(request: Request) -> dict[str, Any]:
        caller = caller_of(request)
        return {
            **control.status(),
            "mode": desired.mode,
            "writable": desired.read_only_reason is None and caller.role == WRITE,
            "read_only_reason": desired.read_only_reason,
            "revision": desired.revision,
            "caller": {"name": caller.name, "role": caller.role},
        }

    @router.get("/api/v1/plan", summary="What a reload of a configuration file would change; for the admin socket")
    async def plan(request: Request, config: str) -> dict[str, Any]:
        if not caller_of(request).local:  # what is wrong with a file says what is in it
            raise ApiError(HTTPStatus.FORBIDDEN, "files are read for the admin socket alone", code=FORBIDDEN)
        return _answer(await asyncio.to_thread(control.preview, config))

    @router.post("/api/v1/reload", summary="Read the configuration again")
    async def reload() -> dict[str, Any]:
        return _answer(await control.commands.done("reload"))

    @router.post("/api/v1/upgrade", summary="Hot restart")
    async def upgrade() -> dict[str, Any]:
        return _answer(await control.commands.done("upgrade"))

    @router.post("/api/v1/stop", summary="Drain, and end")
    async def stop() -> dict[str, Any]:
        return _answer(await control.commands.done("stop"))

    return router


def _answer(outcome: Outcome) -> dict[str, Any]:
    """Raises ApiError for what was refused."""
    lines = list(outcome.lines)
    detail = "; ".join(lines) or "refused"
    more: dict[str, Any] = {"accepted": False, "lines": lines}
    if outcome.later:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, detail, code="SystemBusy", headers=LATER, **more)
    if not outcome.accepted:
        raise ApiError(HTTPStatus.CONFLICT, detail, **more)
    return {"accepted": True, "lines": lines}
