"""The configuration reference: every key of fastnlb.yaml with what it takes, its default and what it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fastnlb.config import availability
from fastnlb.config.rule import Rule, rule_of
from fastnlb.config.schema import FileBlock
from fastnlb.config.schema_validate import block_in
from fastnlb.reference.markdown import code, link, table

_HEAD = """\
# Configuration reference

Every key of `fastnlb.yaml`. Generated from the models that check the file, by `python -m fastnlb.reference`.
[The guide](../configuration.md) says how the keys work together. `fastnlb schema` prints the same as a JSON Schema, which
completes and checks the file [in an editor](../configuration.md#editors).

A name is made of letters, digits and `. _ -`; the first is a letter or digit. Where the default is `none`, `null` may be
written for it.
"""  # noqa: E501 - lines of a page
_FEW = 12  # words that a cell of the table has room for
_EACH = "*"
_TOP = "The file"

_Path = tuple[str, ...]


def configuration_md() -> str:
    return "\n".join([_HEAD, *_section(FileBlock, ())]).rstrip() + "\n"


def _section(block: type[BaseModel], path: _Path) -> Iterator[str]:
    """One table for the block, then those of the blocks in it."""
    fields = block.model_fields
    schemas = block.model_json_schema()["properties"]
    yield f"## {f'`{_spelled(path)}`' if path else _TOP}"
    yield ""
    yield " ".join((block.__doc__ or "").split())
    yield ""
    rows = [(f"`{key}`", *_cells(field, schemas[key], (*path, key))) for key, field in fields.items()]
    yield from table(("key", "takes", "default", "meaning"), rows)
    for key, field in fields.items():
        if len(words := _words(field)) > _FEW:
            yield f"`{key}` takes {code(*words)}."
            yield ""
    for key, field in fields.items():
        if (inner := block_in(field.annotation)) is not None:
            yield from _section(inner, _inside((*path, key), schemas[key]))


def _cells(field: FieldInfo, schema: dict[str, Any], path: _Path) -> tuple[str, str, str]:
    later = "" if _available(field, path) else " (not in this version)"
    return _takes(field, schema, path), _default(field), f"{field.description}{later}"


def _takes(field: FieldInfo, schema: dict[str, Any], path: _Path) -> str:
    many = schema.get("type") == "array"
    if block_in(field.annotation) is not None:
        where = link(_spelled(_inside(path, schema)))
        return f"a list of mappings, see {where}" if many else f"a mapping, see {where}"
    rule = rule_of(field)
    words = _rule_in_words(rule, _words(field)) if rule is not None else ""
    if not many or rule is None or rule.keywords.get("type") == "array":
        return words
    return f"{_how_many(schema)}: {words}"


def _rule_in_words(rule: Rule, words: list[str]) -> str:
    if not words:
        return rule.takes
    return code(*words) if len(words) <= _FEW else f"{len(words)} names, see below"


def _words(field: FieldInfo) -> list[str]:
    """The words to choose from, where there are such."""
    rule = rule_of(field)
    keywords = {} if rule is None else rule.keywords
    words = [word for kind in (keywords, *keywords.get("anyOf", ())) for word in kind.get("enum", ())]
    return [str(word) for word in words]


def _how_many(schema: dict[str, Any]) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if most is None:
        return "a list, not empty" if least else "a list"
    return f"a list of {least} to {most}" if least else f"a list of up to {most}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "`{}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _available(field: FieldInfo, path: _Path) -> bool:
    """Whether this version has it at all; single words that it lacks are not among those of the rule."""
    return bool(_words(field)) or all(row.path != path for row in availability.TABLE)


def _inside(path: _Path, schema: dict[str, Any]) -> _Path:
    return (*path, _EACH) if schema.get("type") == "array" else path


def _spelled(path: _Path) -> str:
    """`server_groups[].health_check`."""
    return ".".join(path).replace(f".{_EACH}", "[]")
