"""The changes of a revision in lines, as plans are shown; a key that was not written down has its default.

+ listener https
~ server group web: health_check.interval 5 -> 10, server 10.0.0.3:80 added
- certificate old
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastnlb.cli.kinds import Kind, kind_of
from fastnlb.model import place

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_MOST = 60  # characters of a value
_FILES = {
    "certificate": "certificate",
    "certificate_pem": "certificate",
    "private_key": "private key",
    "private_key_pem": "private key",
    "crl": "CRL",
    "crl_pem": "CRL",
    "ocsp_response": "OCSP response",
    "ocsp_response_base64": "OCSP response",
}


def change_lines(changes: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each resource."""
    return [_line(each) for each in changes] or ["nothing has changed"]


def _line(change: Mapping[str, Any]) -> str:
    kind = kind_of(str(change.get("kind")))
    line = (
        f"{_SIGNS.get(str(change.get('what')), '~')} {kind.noun if kind else change.get('kind')} {change.get('name')}"
    )
    if change.get("what") != "changed":
        return line
    defaults = {} if kind is None else _defaults(kind)
    material = kind is not None and kind.key in ("certificates", "ca_certificates")
    details = [
        text
        for key, (old, new) in (change.get("fields") or {}).items()
        for text in (_material(key, old, new) if material and key in _FILES else _details(key, old, new, defaults))
    ]
    return f"{line}: {', '.join(details)}" if details else line


def _material(key: str, old: object, new: object) -> Iterator[str]:
    if old is None or new is None:
        yield f"{_FILES[key]} {'removed' if new is None else 'added'}"
    else:
        yield f"new {_FILES[key]}"


def _details(key: str, old: Any, new: Any, defaults: Mapping[str, object]) -> Iterator[str]:
    if isinstance(old, Mapping | None) and isinstance(new, Mapping | None) and (old or new):
        old, new = old or {}, new or {}
        for each in dict.fromkeys([*old, *new]):
            if old.get(each) != new.get(each):
                yield from _details(f"{key}.{each}", old.get(each), new.get(each), defaults)
    elif key == "servers":
        yield from _servers(old or [], new or [])
    else:
        usual = defaults.get(key)
        yield f"{key} {_shown(usual if old is None else old)} -> {_shown(usual if new is None else new)}"


def _defaults(kind: Kind) -> dict[str, object]:
    """By the paths of keys."""
    from fastnlb.config.keys import keys_of  # noqa: PLC0415  the schema is for those who need it

    return {".".join(key.where): key.default for key in keys_of(kind.block())}


def _servers(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> Iterator[str]:
    before, after = ({place(each["address"], each.get("port") or 0): each for each in side} for side in (old, new))
    yield from (f"server {name} added" for name in after if name not in before)
    for name, server in after.items():
        if name in before and before[name] != server:
            yield f"server {name} weight {_shown(before[name].get('weight'))} -> {_shown(server.get('weight'))}"
    yield from (f"server {name} removed" for name in before if name not in after)
    kept = [name for name in after if name in before]
    if kept != [name for name in before if name in after]:
        yield "servers in another order"


def _shown(value: object) -> str:
    if value is None or value == []:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST else text[: _MOST - 3] + "..."
