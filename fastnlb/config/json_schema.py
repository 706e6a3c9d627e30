"""The JSON Schema of fastnlb.yaml, for editors: keys, types, ranges, words and what each key does.

What one key asks of another (a TCPSSL listener of a certificate, a name of what it names) is for the loader to say.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from fastnlb.config.schema import FileBlock


class _Generator(GenerateJsonSchema):
    """Without titles that only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The schema, in the dialect 2020-12."""
    body = FileBlock.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **body, "title": "fastnlb.yaml"}
