"""What the JSON Schema of fastnlb.yaml says of plain data."""

from __future__ import annotations

from functools import cache

from jsonschema import Draft202012Validator

from fastnlb.config.json_schema import json_schema


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def objections(data: object) -> list[str]:
    """`path: message` for each thing that the schema refuses."""
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(data)]
