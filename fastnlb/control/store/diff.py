"""What is different between two states, resource by resource; never with key material in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastnlb.config.build import RESOURCES
from fastnlb.control.store.history import State
from fastnlb.control.store.material import REFERENCE
from fastnlb.control.store.values import Change

ADDED, REMOVED, CHANGED = "added", "removed", "changed"


def difference(old: State, new: State) -> list[Change]:
    """In the order of the kinds, then as they stand in the states.  Where a resource stands is no difference."""
    return [change for kind in RESOURCES for change in _of_kind(kind, old, new)]


def _of_kind(kind: str, old: State, new: State) -> Iterator[Change]:
    for name, row in old[kind].items():
        if name not in new[kind]:
            yield Change(kind, name, REMOVED, _fields(row.body, {}))
    for name, row in new[kind].items():
        before = old[kind].get(name)
        if before is None:
            yield Change(kind, name, ADDED, _fields({}, row.body))
        elif before.body != row.body:
            yield Change(kind, name, CHANGED, _fields(before.body, row.body))


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        key: (_shown(old.get(key)), _shown(new.get(key)))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    }


def _shown(value: object) -> object:
    found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else found[1]
