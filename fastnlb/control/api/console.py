"""The web console at /console/: files that anybody may see, since what they show is asked of the API.

The headers forbid the page whatever it has no use for: script, style and connections of any other origin, being
framed, sending forms.  Files are looked up by name among those of the package, so there is no path to trick.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fastnlb.console import INDEX, File, files

PLACE = "/console/"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FROZEN = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"  # a new version of fastnlb is there at once; an unchanged file costs a 304


def routes() -> list[BaseRoute]:
    return [
        Route("/", _to_console, include_in_schema=False),
        Route("/console", _to_console, include_in_schema=False),
        Route(PLACE + "{path:path}", _file, include_in_schema=False),
    ]


async def _to_console(_request: Request) -> Response:
    return RedirectResponse(PLACE, HTTPStatus.TEMPORARY_REDIRECT, HEADERS)


async def _file(request: Request) -> Response:
    file = files().get(request.path_params["path"] or INDEX)
    if file is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    headers = {**HEADERS, "ETag": file.etag, "Cache-Control": FROZEN if file.frozen else ASK_AGAIN}
    if _has_it(request, file):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return Response(file.body, HTTPStatus.OK, headers, file.media_type)


def _has_it(request: Request, file: File) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return any(tag.strip().removeprefix("W/") in (file.etag, "*") for tag in tags)
