"""What one value of fastnlb.yaml may be, said three times at one place: to the loader, to editors, and to readers.

A `Rule` stands in an `Annotated` type.  Pydantic takes its check and its JSON Schema keywords from it, the pages of
the documentation its words.

The keywords are JSON Schema 2020-12 as OpenAPI 3.1 has it, with regular expressions that Python and ECMAScript read
alike.  They never refuse what the check takes.  They may take what the check refuses, where an expression would be
worse than none; `fastnlb check` has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

Keywords = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check that runs before any other, its JSON Schema, and words that complete `this key takes ...`."""

    check: Callable[[Any, ValidationInfo], Any]
    takes: str
    keywords: Keywords = field(hash=False)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.keywords)


def rule_of(declared: FieldInfo) -> Rule | None:
    """The rule of a key, or of each item of its list; None for a key that holds blocks."""
    return next(_rules(*declared.metadata, declared.annotation), None)


def _rules(*parts: object) -> Iterator[Rule]:
    for part in parts:
        if isinstance(part, Rule):
            yield part
        else:
            yield from _rules(*getattr(part, "__metadata__", ()), *get_args(part))
