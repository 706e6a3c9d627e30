"""JSON schemas of what is sent and answered, as OpenAPI components."""

from __future__ import annotations

from typing import Any

from fastnlb.config.schema import Block, ServerBlock
from fastnlb.control.desired.kinds import KINDS, LISTENERS, SERVER_GROUPS, Kind

REF = "#/components/schemas/"
_TEXT = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}
_FREE = {"type": "object", "additionalProperties": True}
_NAMES = {"type": "array", "items": _TEXT}
_MAYBE = {"type": ["string", "null"]}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": REF + name}


def name_of(kind: Kind) -> str:
    """`Listener`, `ServerGroup`, ..."""
    return kind.block.__name__.removesuffix("Block")


def components() -> dict[str, Any]:
    schemas: dict[str, Any] = {"Problem": _PROBLEM, "Change": _CHANGE, "Revision": _REVISION, "Quick": _QUICK}
    blocks: list[type[Block]] = [*(kind.block for kind in KINDS), ServerBlock]
    for block in blocks:
        schemas |= _of_block(block)
    schemas |= {"Certificate": _CERTIFICATE, "CaCertificate": _CA_CERTIFICATE}
    schemas["WholeState"] = _object({kind.key: {"type": "array", "items": ref(name_of(kind))} for kind in KINDS})
    schemas |= {f"{name_of(kind)}Whole": _without_name(schemas[name_of(kind)]) for kind in KINDS}
    schemas |= {f"{name_of(kind)}Shown": _shown(kind) for kind in KINDS}
    schemas |= {f"{name_of(kind)}List": _page(f"{name_of(kind)}Shown") for kind in KINDS}
    bearer = {"type": "http", "scheme": "bearer", "description": "`fastnlb token create` makes one"}
    return {"schemas": schemas, "securitySchemes": {"bearer": bearer}}


def request_body(path: str, method: str) -> dict[str, Any] | None:
    """The schema of what is sent, None for nothing."""
    if method == "patch":
        return _FREE
    if (known := _BODIES.get(path)) is not None:
        return ref(known)
    kind = _kind_of(path)
    if method not in ("post", "put") or kind is None or path.endswith(("/start", "/stop")):
        return None
    return ref(name_of(kind) + ("Whole" if method == "put" else ""))


def success(path: str, method: str) -> dict[str, Any] | None:
    """The schema of the answer, None for text."""
    if not path.startswith("/api/v1/"):
        return None
    kind = _kind_of(path)
    if path.endswith("/health") or kind is None:
        return _answers(path)
    if path == f"/api/v1/{kind.path}" and method == "get":
        return ref(f"{name_of(kind)}List")
    if method == "delete" and not path.endswith("{server}"):
        return _object({"change": ref("Change")}, "change")
    return ref(f"{name_of(kind)}Shown")


def _answers(path: str) -> dict[str, Any]:
    if path == "/api/v1/revisions":
        return _page("Revision", {"type": ["integer", "null"]})
    if path.endswith("/restore") or path == "/api/v1/apply":
        return _object({"change": ref("Change")}, "change")
    return _FREE


def _kind_of(path: str) -> Kind | None:
    return next((kind for kind in KINDS if path.removeprefix("/api/v1/").split("/")[0] == kind.path), None)


def _of_block(block: type[Block]) -> dict[str, Any]:
    schema = block.model_json_schema(ref_template=REF + "{model}")
    inner = schema.pop("$defs", {})
    return {**inner, block.__name__.removesuffix("Block"): schema}


def _without_name(schema: dict[str, Any]) -> dict[str, Any]:
    """As it is put where its name is in the path."""
    return {**schema, "required": [each for each in schema.get("required", []) if each != "name"]}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _page(item: str, following: dict[str, Any] = _MAYBE) -> dict[str, Any]:
    of = {"items": {"type": "array", "items": ref(item)}, "next": following, "total": _WHOLE}
    return _object(of, "items", "next")


def _shown(kind: Kind) -> dict[str, Any]:
    """Its own keys are in the schema of what is sent; an answer may have more than is known today."""
    known = {"name": _TEXT, "etag": _TEXT, "state": _FREE, "change": ref("Change")}
    more = {LISTENERS: {"enabled": {"type": "boolean"}}, SERVER_GROUPS: {"servers": {"type": "array"}}}.get(kind, {})
    return {"type": "object", "properties": {**known, **more}, "required": ["name", "etag", "state"]}


_BODIES = {
    "/api/v1/quick": "Quick",
    "/api/v1/apply": "WholeState",
    "/api/v1/server-groups/{name}/servers": "Server",
}
_CHANGE = _object(
    {
        "revision": {"type": ["integer", "null"]},
        "dry_run": {"type": "boolean"},
        "lines": _NAMES,
        "warnings": {"type": "array", "items": _FREE},
    },
    "revision",
    "dry_run",
    "lines",
    "warnings",
)
_ERROR = {"type": "object", "properties": {"path": _TEXT, "message": _TEXT, "code": _TEXT, "resource": _TEXT}}
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT,
        "errors": {"type": "array", "items": {**_ERROR, "required": ["path", "message"]}},
        "lines": _NAMES,
    },
    "required": ["type", "title", "status", "detail"],
}
_REVISION = _object(
    {"number": _WHOLE, "at": _TEXT, "author": _TEXT, "summary": _TEXT, "parent": {"type": ["integer", "null"]}},
    "number",
    "at",
    "author",
    "summary",
)
_TAGS = {"type": "object", "additionalProperties": _TEXT}
_CERTIFICATE = _object(
    {
        "name": _TEXT,
        "certificate_pem": {**_TEXT, "description": "The leaf first, then its chain; the key may be in it"},
        "private_key_pem": {**_TEXT, "writeOnly": True},
        "ocsp_response_base64": _MAYBE,
        "self_signed": {**_NAMES, "description": "In place of all of these: one is made for these names"},
        "tags": _TAGS,
    },
    "name",
)
_CA_CERTIFICATE = _object(
    {
        "name": _TEXT,
        "certificate_pem": _TEXT,
        "crl_pem": _MAYBE,
        "verify_depth": {"type": "integer", "minimum": 0, "maximum": 10},
        "tags": _TAGS,
    },
    "name",
    "certificate_pem",
)
_QUICK = _object(
    {
        "protocol": {"enum": ["TCPSSL", "TCP"]},
        "address": _TEXT,
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "name": _TEXT,
        "certificate": _TEXT,
        "certificate_pem": _TEXT,
        "private_key_pem": _TEXT,
        "ocsp_response_base64": _TEXT,
        "self_signed": _NAMES,
        "security_policy": _TEXT,
        "alpn_policy": _TEXT,
        "server_group": _TEXT,
        "servers": _NAMES,
    },
    "port",
)
