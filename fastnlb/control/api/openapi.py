"""The OpenAPI document (3.1): what the routes say of themselves, with the schemas of what is sent and answered.

The schemas of resources are those of fastnlb.yaml's blocks; bodies are read by the same code as the file, which says
what is wrong better than a schema could.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fastnlb import __version__
from fastnlb.control.api.schemas import components, request_body, success
from fastnlb.control.desired.kinds import KINDS

if TYPE_CHECKING:
    from fastnlb.control.run import Control

DESCRIPTION = """\
What `fastnlb.yaml` says, as resources. A write is validated whole, on disk, and served by every worker when it is
answered; what is refused has changed nothing. Private keys are never returned.
"""
PROBLEM = "application/problem+json"
WRITES = ("post", "put", "patch", "delete")
JSON = "application/json"
_BY_STATUS = {
    "400": "What was sent is wrong; `errors` says where",
    "401": "A token is needed, or the one that was shown is not known",
    "403": "The token may only read, or the request comes from a foreign page",
    "404": "There is no such resource",
    "405": "Another method is needed",
    "409": "It stands in the way of something, or the daemon refused it: nothing has changed",
    "412": "If-Match names another version; `current` is what there is",
    "413": "The body is too large",
    "415": "The body has to be JSON",
    "429": "Too many wrong tokens from this address",
    "503": "Not now: try again",
    "507": "No space is left for the state",
}
_ALWAYS = ("400", "401", "403", "429")
_ON_WRITES = ("404", "409", "412", "413", "415", "503", "507")


def document() -> dict[str, Any]:
    """The document without a daemon: no route is called for it."""
    from fastnlb.control.api.app import make_app  # noqa: PLC0415  which uses this module

    return make_app(cast("Control", None)).openapi()


def install(app: FastAPI) -> None:
    """Has `/openapi.json` answer with it; made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title="fastnlb", version=__version__, description=DESCRIPTION, routes=app.routes)
    made["components"] = components()
    made["security"] = [{"bearer": []}, {}]
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return made


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    operation.pop("requestBody", None)
    operation["parameters"] = [*operation.get("parameters", []), *_parameters(path, method)]
    if (body := request_body(path, method)) is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    statuses = [each for each in operation["responses"] if each.startswith("2")]
    said = operation["responses"]
    answers = {each: _answer(path, method, said.get(each)) for each in _success(path, method, statuses)}
    refusals = [*_ALWAYS, *(_ON_WRITES if method in WRITES else ("404", "409", "503"))]
    operation["responses"] = {**answers, **{status: _refusal(status) for status in sorted(set(refusals))}}


def _success(path: str, method: str, statuses: list[str]) -> list[str]:
    """A PUT creates or replaces; a dry run of a creation is 200, as nothing was created."""
    creating = statuses == ["201"] or (method == "post" and path in {f"/api/v1/{kind.path}" for kind in KINDS})
    return ["200", "201"] if creating or method == "put" else statuses


def _answer(path: str, method: str, said: dict[str, Any] | None) -> dict[str, Any]:
    schema = success(path, method)
    if schema is None:
        return said or {"description": "OK"}
    return {"description": "Done", "content": {JSON: {"schema": schema}}}


def _refusal(status: str) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _BY_STATUS[status], "content": content}


def _parameters(path: str, method: str) -> list[dict[str, Any]]:
    if method in WRITES and path.startswith("/api/v1/") and not path.endswith(("/reload", "/upgrade", "/v1/stop")):
        one = "{name}" in path and not path.endswith(("/start", "/stop"))
        return deepcopy([*_OF_WRITES, *(_OF_CHANGES if one else [])])
    if path in {f"/api/v1/{kind.path}" for kind in KINDS}:
        return deepcopy(_OF_LISTS)
    if path == "/api/v1/revisions":
        return deepcopy([_query("limit", _whole(1, 1000)), _query("before", _whole(1, 2**53))])
    if path == "/api/v1/revisions/{revision}/diff":
        return [{**_query("to", _whole(0, 2**53)), "required": True}]
    return []


def _query(name: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    about = {"description": description} if description else {}
    return {"name": name, "in": "query", "schema": schema, "required": False, **about}


def _header(name: str, description: str, longest: int) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": longest}
    return {"name": name, "in": "header", "schema": schema, "required": False, "description": description}


def _whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


_OF_WRITES = [
    _query("dry_run", {"type": "boolean"}, "Validate and plan, and change nothing"),
    _header("Idempotency-Key", "A repeated request with this key gets the answer of the first one, for a day", 64),
]
_OF_CHANGES = [_header("If-Match", "The etag of the version that is to be changed", 4096)]
_OF_LISTS = [
    _query(
        "tag",
        {"type": "array", "items": {"type": "string", "pattern": "^[^=]+=.*$"}},
        "key=value; all that are given have to match",
    ),
    _query("name", {"type": "string"}, "Part of the name, or a pattern with * and ?"),
    _query("protocol", {"type": "string"}),
    _query("limit", _whole(1, 1000)),
    _query("cursor", {"type": "string"}, "`next` of the page before"),
]
