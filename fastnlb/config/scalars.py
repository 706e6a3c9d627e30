"""The values of plain YAML scalars, by the core schema of YAML 1.2.

`on`, `yes`, `22:30`, `2026-01-01` and `010` mean what they look like: text, text, text, text and ten.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_MAX_DIGITS = 100
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


def resolve(text: str) -> Scalar:
    """The value of a plain scalar.  Raises ValueError for a number of over a hundred digits."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NAN.fullmatch(text) or _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    shape = next((shape for shape in (_DECIMAL, _OCTAL, _HEX, _FLOAT) if shape.fullmatch(text)), None)
    if shape is None:
        return None
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits; {_MAX_DIGITS} are enough")
    if shape is _FLOAT:
        return float(text)
    return int(text, 10) if shape is _DECIMAL else int(text, 0)
