"""What is wrong with a document, as its clients know it: by resource and field, not by place in a list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fastnlb.config.errors import Problem
from fastnlb.control.desired.kinds import BY_KEY, Kind, listed
from fastnlb.control.desired.sent import FIELDS
from fastnlb.control.store.values import Document

Focus = tuple[Kind, str]
"""The resource that a request is about: its problems are the request's own."""

_PLACE = re.compile(r"(\w+)(?:\[(\d+)\])?\.?(.*)")
_MATERIAL = re.compile(r"\S*material/[0-9a-f]{64}\.(pem|key|crl|der)")
_MISSING_KEY = re.compile(r'missing key "(\w+)"')
_MISSING = {"MissingParam.Certificate": "certificate", "MissingParam.ListenerPort": "port"}
_CALLED = {
    "pem": "the certificate",
    "key": "the private key",
    "crl": "the revocation list",
    "der": "the OCSP response",
}


def described(problems: Iterable[Problem], document: Document, focus: Focus | None = None) -> list[dict[str, Any]]:
    """Each as {path, message, code?, resource?}."""
    return [_described(each, document, focus) for each in problems]


def _described(problem: Problem, document: Document, focus: Focus | None) -> dict[str, Any]:
    message = _MATERIAL.sub(lambda found: _CALLED[found[1]], problem.message)
    told = {"path": problem.path, "message": message, **({"code": problem.code} if problem.code else {})}
    found = _PLACE.fullmatch(problem.path)
    if found is None or found[1] not in BY_KEY or found[2] is None:
        return told
    kind, index, field = BY_KEY[found[1]], int(found[2]), found[3]
    items = listed(document, kind)
    name = items[index].get("name") if index < len(items) and isinstance(items[index], dict) else None
    first, dot, rest = field.partition(".")
    told["path"] = _sent_as(kind, first) + dot + rest + _lacking(problem, field)
    if focus is None or focus != (kind, name):
        told["resource"] = f"{kind.path}/{name if isinstance(name, str) else index}"
    return told


def _lacking(problem: Problem, field: str) -> str:
    """Of what is not there, the key that should be: the place of such a problem is what lacks it."""
    missing = _MISSING_KEY.match(problem.message)
    key = missing[1] if missing else _MISSING.get(problem.code, "") if not field else ""
    return f".{key}" if field and key else key


def _sent_as(kind: Kind, field: str) -> str:
    """The field that clients know: files have become text."""
    return next((sent for sent, key in FIELDS.get(kind.key, {}).items() if key == field), field)
