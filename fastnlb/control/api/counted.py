"""Requests as they are counted for the metrics: by route, method and status."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastnlb.control.figures import Figures

OTHER = "other"
"""For every path that is no route, and for what never came as far as a route."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Counted:
    """Around everything that answers, refusals at the gate among it."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", OTHER)
                method = scope["method"] if scope["method"] in METHODS else OTHER
                self._figures.answered(route, method, message["status"])
            await send(message)

        await self._app(scope, receive, send_counted)
