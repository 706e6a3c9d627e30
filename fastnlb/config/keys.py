"""The keys of the schema's blocks as plain data, for whoever makes options or questions of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fastnlb.config.rule import rule_of
from fastnlb.config.schema import Block, FileBlock


class Shape(Enum):
    """What kind of value a key takes."""

    SWITCH = "true or false"
    NUMBER = "a whole number"
    TEXT = "text"
    TEXTS = "a list of texts"
    NUMBERS = "a list of numbers"
    MAPPING = "a mapping of text to text"
    BLOCKS = "a list of blocks"


@dataclass(frozen=True, slots=True)
class Key:
    """A key with a value of its own, blocks within blocks gone through.  `meaning` is a line, or nothing.

    `default` is None for a key that is required, too.  `choices` are the words that a text, or each of a list, may
    be; none where it is not for one of a few.
    """

    where: tuple[str, ...]
    shape: Shape
    meaning: str
    required: bool
    default: object
    choices: tuple[str, ...] = ()


def keys_of(block: type[Block]) -> Iterator[Key]:
    """In the order of the schema."""
    yield from _keys(block, ())


def blocks_at(block: type[Block], key: str) -> tuple[str, ...]:
    """The keys of each block in the list that stands at `key`."""
    return tuple(_core(get_args(_core(block.model_fields[key].annotation))[0]).model_fields)


def unusual(data: dict[str, Any]) -> list[str]:
    """The keys of a configuration file, without resources, that say something else than their defaults."""
    return [
        key
        for key, declared in FileBlock.model_fields.items()
        if key in data and key != "version" and not _is_list(declared) and not _same(data[key], declared.default)
    ]


def file_keys() -> tuple[str, ...]:
    """The keys of a configuration file."""
    return tuple(FileBlock.model_fields)


def _keys(block: type[BaseModel], outer: tuple[str, ...]) -> Iterator[Key]:
    for name, declared in block.model_fields.items():
        core, where = _core(declared.annotation), (*outer, name)
        if isinstance(core, type) and issubclass(core, BaseModel):
            yield from _keys(core, where)
        else:
            default = None if declared.is_required() else declared.default
            yield Key(
                where, _shape(core), declared.description or "", declared.is_required(), default, _choices(declared)
            )


def _choices(declared: FieldInfo) -> tuple[str, ...]:
    rule = rule_of(declared)
    return tuple(map(str, rule.keywords.get("enum", ()))) if rule is not None else ()


def _shape(core: Any) -> Shape:
    simple = {bool: Shape.SWITCH, int: Shape.NUMBER, str: Shape.TEXT}
    if core in simple:
        return simple[core]
    if get_origin(core) is dict:
        return Shape.MAPPING
    return {int: Shape.NUMBERS, str: Shape.TEXTS}.get(_core(get_args(core)[0]), Shape.BLOCKS)


def _core(annotation: Any) -> Any:
    """The type without `| None` and what `Annotated` adds."""
    if get_origin(annotation) is Annotated:
        return _core(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _core(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation


def _is_list(declared: FieldInfo) -> bool:
    return get_origin(_core(declared.annotation)) is list


def _same(value: object, default: object) -> bool:
    if isinstance(default, BaseModel):
        usual = default.model_dump()
        return isinstance(value, dict) and all(key in usual and usual[key] == value[key] for key in value)
    return value == default
