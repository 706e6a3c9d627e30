"""Changes of a document, as values: from one to the next, with nothing read or written.

What comes out may break any rule there is; whoever wants to serve it has it checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from fastnlb.config.errors import quote
from fastnlb.control.desired.kinds import LISTENERS, Kind, Users, listed
from fastnlb.control.store.values import Document
from fastnlb.tls.policies import SYSTEM

READ_ONLY = ("etag", "state", "change")
"""Keys that answers have and that are passed over when they are sent back."""


class EditError(Exception):
    """There is nothing to change, or it may not be changed; the message is for a person, `code` for a script."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class MissingError(EditError):
    """There is no such resource."""


class ConflictError(EditError):
    """There is one already, or something stands in the way."""


class InvalidError(EditError):
    """What was sent makes no sense; `path` is the field."""

    def __init__(self, message: str, path: str = "", code: str = "") -> None:
        super().__init__(message, code)
        self.path = path


def find(document: Document, kind: Kind, name: str) -> dict[str, Any]:
    """Raises MissingError."""
    for item in listed(document, kind):
        if item["name"] == name:
            return item
    raise MissingError(f"there is no {kind.noun} {name}", kind.not_found)


def has(document: Document, kind: Kind, name: str) -> bool:
    return any(item["name"] == name for item in listed(document, kind))


def add(document: Document, kind: Kind, item: dict[str, Any]) -> Document:
    """Raises ConflictError."""
    name = item.get("name")
    if has(document, kind, str(name)):
        raise ConflictError(f"there is a {kind.noun} {name} already", "Conflict.Name")
    refuse_system(kind, str(name))
    return {**document, kind.key: [*listed(document, kind), item]}


def put(document: Document, kind: Kind, item: dict[str, Any]) -> Document:
    """In place of the one with its name.  Raises MissingError or ConflictError."""
    refuse_system(kind, item["name"])
    find(document, kind, item["name"])
    items = [item if each["name"] == item["name"] else each for each in listed(document, kind)]
    return {**document, kind.key: items}


def remove(document: Document, kind: Kind, name: str) -> Document:
    """Raises MissingError, or ConflictError while a listener uses it."""
    refuse_system(kind, name)
    find(document, kind, name)
    users = [] if kind is LISTENERS else Users(document).of(kind, name)
    if users:
        used_by = f"listener {users[0]}" + (f" and {len(users) - 1} more" if len(users) > 1 else "")
        raise ConflictError(f"{kind.noun} {name} is used by {used_by}", kind.in_use)
    return {**document, kind.key: [each for each in listed(document, kind) if each["name"] != name]}


def merged(held: Any, patch: Any) -> Any:
    """RFC 7396: null takes a key away, a mapping goes into a mapping, everything else replaces."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    result = dict(held) if isinstance(held, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def refuse_unknown_nulls(patch: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises InvalidError for a key that a merge would take away, and that was never known: a misspelt one."""
    names = tuple(known)
    for key, value in patch.items():
        if value is None and key not in names:
            raise InvalidError(f"unknown key {quote(key)}; the keys here are {', '.join(names)}", key)


def writable(item: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only answers have."""
    return {key: value for key, value in item.items() if key not in READ_ONLY}


def named(item: dict[str, Any], name: str) -> dict[str, Any]:
    """`item` as the one called `name`.  Raises InvalidError when it calls itself otherwise."""
    if item.get("name", name) != name:
        raise InvalidError(f"a name cannot be changed: this one is {name}", "name")
    return {"name": name, **item}


def refuse_system(kind: Kind, name: str) -> None:
    """Raises ConflictError for what comes with the program."""
    if kind.key == "security_policies" and name in SYSTEM:
        raise ConflictError(f"{name} is a system policy: it cannot be changed", "OperationDenied.SystemPolicy")
