"""A whole document, as it is exported and applied: what comes out goes in again and changes nothing.

Private keys do not come out.  A certificate that goes in without one keeps the key of the one with its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnlb.config.errors import quote
from fastnlb.control.desired.edits import InvalidError, writable
from fastnlb.control.desired.kinds import BY_KEY, KINDS, Kind, listed
from fastnlb.control.desired.sent import Shelf, as_block
from fastnlb.control.desired.state import Views
from fastnlb.control.store.values import Document


def exported(views: Views) -> dict[str, Any]:
    """Each kind's list, with defaults."""
    return {
        kind.key: [views.config(kind, item) for item in listed(views.document, kind)]
        for kind in sorted(KINDS, key=lambda kind: kind.key)
    }


def applied(document: Document, sent: Mapping[str, Any], shelf: Shelf) -> Document:
    """The document for `sent`; a kind that is not sent is emptied.  Raises InvalidError, StoreError."""
    for key in sent:
        if key not in BY_KEY:
            raise InvalidError(f"unknown key {quote(key)}; the kinds are {', '.join(BY_KEY)}", key)
    return {key: _taken(kind, sent.get(key), document, shelf) for key, kind in BY_KEY.items()}


def _taken(kind: Kind, items: Any, document: Document, shelf: Shelf) -> list[dict[str, Any]]:
    if items is None:
        return []
    if not isinstance(items, list):
        raise InvalidError(f"{kind.key} takes a list", kind.key)
    held = {item["name"]: item for item in listed(document, kind)}
    taken = []
    for index, item in enumerate(items):
        where = f"{kind.key}[{index}]"
        if not isinstance(item, Mapping):
            raise InvalidError("takes a mapping", where)
        name = item.get("name")
        try:
            known = held.get(name) if isinstance(name, str) else None
            taken.append(as_block(kind, writable(item), known, shelf, whole=True))
        except InvalidError as error:
            raise InvalidError(str(error), f"{where}.{error.path}", error.code) from None
    return taken
