"""Plain data against the schema: every problem in words for a person, and what could be used all the same.

A block with a wrong key is read again without it, so that one mistake does not hide what else is wrong with the
block or with those that refer to it.  What comes out of a refused configuration is for finding more problems only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fastnlb.config import error_names
from fastnlb.config.errors import Report, Where, nearest, quote, suggest
from fastnlb.config.schema import (
    Block,
    CaCertificateBlock,
    CertificateBlock,
    FileBlock,
    ListenerBlock,
    SecurityPolicyBlock,
    ServerGroupBlock,
)
from fastnlb.config.schema_types import say

B = TypeVar("B", bound=Block)

_KINDS = ("certificates", "ca_certificates", "security_policies", "server_groups", "listeners")  # as in Parts


@dataclass(slots=True)
class Parts:
    """The blocks that can be read, by their index in the file.  `file` is None if anything at all is wrong."""

    file: FileBlock | None = None
    certificates: dict[int, CertificateBlock] = field(default_factory=dict)
    ca_certificates: dict[int, CaCertificateBlock] = field(default_factory=dict)
    security_policies: dict[int, SecurityPolicyBlock] = field(default_factory=dict)
    server_groups: dict[int, ServerGroupBlock] = field(default_factory=dict)
    listeners: dict[int, ListenerBlock] = field(default_factory=dict)


def validate(data: object, report: Report) -> Parts:
    """Check `data` against the schema; errors go to `report`, what is readable comes back."""
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds {say(data)}"
        report.error((), f"the configuration {what}: it takes a mapping that begins with version: 1")
        return Parts()
    file = None
    bad_keys: dict[Where, set[str | int]] = {}
    try:
        file = FileBlock.model_validate(data)
    except ValidationError as failed:
        details = failed.errors(include_url=False)
        _explain_all(details, report)
        for detail in details:
            bad_keys.setdefault(detail["loc"][:2], set()).update(detail["loc"][2:3])
    if file is not None:
        return Parts(file, *(dict(enumerate(getattr(file, kind))) for kind in _KINDS))
    return Parts(
        None,
        dict(_readable(data, "certificates", CertificateBlock, bad_keys)),
        dict(_readable(data, "ca_certificates", CaCertificateBlock, bad_keys)),
        dict(_readable(data, "security_policies", SecurityPolicyBlock, bad_keys)),
        dict(_readable(data, "server_groups", ServerGroupBlock, bad_keys)),
        dict(_readable(data, "listeners", ListenerBlock, bad_keys)),
    )


def items(data: object, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings under `kind` with their indexes, whatever shape the data has."""
    listed = data.get(kind) if isinstance(data, dict) else None
    for index, item in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(item, dict):
            yield index, item


def _readable(
    data: object, kind: str, block: type[B], bad_keys: Mapping[Where, set[str | int]]
) -> Iterator[tuple[int, B]]:
    for index, item in items(data, kind):
        bad = bad_keys.get((kind, index), set())
        try:
            yield index, block.model_validate({key: value for key, value in item.items() if key not in bad})
        except ValidationError:
            continue


def _explain_all(details: list[ErrorDetails], report: Report) -> None:
    mistyped = {where for where in map(_meant, details) if where}
    for detail in details:
        where = detail["loc"]
        if detail["type"] == "missing" and where not in mistyped:
            report.lacking(where[:-1], _missing(where), code=error_names.missing(where))
        elif detail["type"] == "lacking":
            report.lacking(where, detail["msg"])
        elif detail["type"] == "extra_forbidden":
            report.error(where, _unknown(where), at_key=True)
        elif detail["type"] != "missing":
            report.error(where, _wrong(detail), code=error_names.wrong(where))


def _meant(detail: ErrorDetails) -> Where | None:
    """The path an unknown key was meant for: to call that key missing as well would be to say it twice."""
    if detail["type"] != "extra_forbidden":
        return None
    *outer, key = detail["loc"]
    near = nearest(str(key), _block_at(tuple(outer)).model_fields)
    return (*outer, near) if near else None


def _missing(where: Where) -> str:
    key = str(where[-1])
    description = _block_at(where[:-1]).model_fields[key].description
    return f"missing key {quote(key)}: {description}" if description else f"missing key {quote(key)}"


def _unknown(where: Where) -> str:
    key = str(where[-1])
    block = _block_at(where[:-1])
    near = suggest(key, block.model_fields)
    return f"unknown key {quote(key)}{near or '; the keys here are ' + ', '.join(block.model_fields)}"


def _wrong(detail: ErrorDetails) -> str:
    where, given = detail["loc"], detail["input"]
    name = next((str(part) for part in reversed(where) if isinstance(part, str)), "the configuration")
    match detail["type"]:
        case "wrong":
            return detail["msg"]
        case "list_type":
            return f"{name} takes a list, not {say(given)}"
        case "model_type" | "dict_type":
            of = f"each item of {name}" if isinstance(where[-1], int) else name
            return f"{of} takes a mapping, not {say(given)}"
        case "too_short":
            return f"{name} is empty: it takes one item or more"
        case "too_long":
            return f"{name} has {len(given)} items: it takes up to {detail['ctx']['max_length']}"
        case _:
            return f"{name}: {detail['msg']}"


def _block_at(where: Where) -> type[BaseModel]:
    """The model that describes the mapping at `where`."""
    block: type[BaseModel] = FileBlock
    for part in where:
        if isinstance(part, str):
            block = block_in(block.model_fields[part].annotation) or block
    return block


def block_in(annotation: object) -> type[BaseModel] | None:
    """The model that a key holds, or a list of it; None for a key with plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(block_in, get_args(annotation))), None)
