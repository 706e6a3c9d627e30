"""Refusals as problem details (RFC 9457): one sentence a person can act on, and names a script can tell apart.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "...", "code": "IllegalParam.Port",
     "errors": [{"path": "port", "message": "...", "code": "IllegalParam.Port"}]}

`code` is the reference API's name for what is wrong, where it has one.  `errors` has every problem at its field.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

MEDIA_TYPE = "application/problem+json"
LATER = {"Retry-After": "1"}
"""Headers of a refusal that has nothing against what was asked for."""

log = logging.getLogger("fastnlb.control")


class ApiError(Exception):
    """A refusal with its status.  `errors`: every problem, as mappings with path, message and code."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.errors = [dict(each) for each in errors]
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> Response:
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"code": self.code} if self.code else {}),
            **({"errors": self.errors} if self.errors else {}),
            **self.more,
        }
        return Response(json.dumps(body), self.status, self.headers, MEDIA_TYPE)


async def on_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - for the type checker
    return error.response()


async def on_http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is no {request.url.path}"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        detail = f"{request.url.path} takes {allowed}, not {request.method}"
        return ApiError(error.status_code, detail, headers={"Allow": allowed}).response()
    return ApiError(error.status_code, detail, headers=error.headers).response()


def _methods(request: Request) -> list[str]:
    """All that the path takes: the framework names those of the first route alone."""
    fitting = (route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in fitting for method in getattr(route, "methods", None) or ()})


async def on_invalid(_request: Request, error: Exception) -> Response:
    """What the framework reads for us: numbers in paths, query parameters that have to be there."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return ApiError(HTTPStatus.BAD_REQUEST, f"{name}: {first['msg']}").response()


async def on_fault(request: Request, error: Exception) -> Response:
    """A fault of ours: it is logged in one line, and the client learns no more than that."""
    log.error("%s %s failed: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "the daemon has failed to answer; its log says why").response()
