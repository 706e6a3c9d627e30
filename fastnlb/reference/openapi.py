"""The reference of the REST API: a page from an OpenAPI 3.1 document, and nothing but what stands in it.

Operations by tag in the order of the document, then the schemas they refer to.  Markdown in descriptions stays so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastnlb.reference.markdown import code, link, table

_METHODS = ("get", "post", "put", "patch", "delete")
_UNTAGGED = "Other"
_FEW = 12  # words that a cell of the table has room for
_SIMPLE = {"null": "null", "boolean": "true or false", "object": "a mapping"}

Json = Mapping[str, Any]


def api_md(document: Json) -> str:
    """The page.  References have to lead to `#/components/schemas/` or `#/components/parameters/` of the document."""
    about = document["info"]
    lines = [f"# {about['title']}", "", f"Version {about['version']}.", "", *_paragraph(about)]
    for tag, operations in _by_tag(document).items():
        lines += [f"## {tag}", "", *_paragraph(_tag(document, tag))]
        for method, path, operation in operations:
            lines += _operation(method, path, operation, document)
    lines += _schemas(document)
    return "\n".join(lines).rstrip() + "\n"


def _by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    found: dict[str, list[tuple[str, str, Json]]] = {each["name"]: [] for each in document.get("tags", ())}
    for path, item in document["paths"].items():
        for method in filter(item.__contains__, _METHODS):
            tag = next(iter(item[method].get("tags", ())), _UNTAGGED)
            found.setdefault(tag, []).append((method, path, item[method]))
    return {tag: operations for tag, operations in found.items() if operations}


def _tag(document: Json, name: str) -> Json:
    return next((each for each in document.get("tags", ()) if each["name"] == name), {})


def _paragraph(about: Json) -> list[str]:
    text = about.get("description", "").strip()
    return [*text.split("\n"), ""] if text else []


def _operation(method: str, path: str, operation: Json, document: Json) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield ""
    if summary := operation.get("summary"):
        yield f"{summary.rstrip('.')}."
        yield ""
    yield from _paragraph(operation)
    parameters = [_resolved(each, document) for each in operation.get("parameters", ())]
    yield from table(("parameter", "in", "takes", "meaning"), map(_parameter, parameters))
    if body := operation.get("requestBody"):
        yield f"The body is {_content(_resolved(body, document))}."
        yield ""
    answers = ((f"`{status}`", _resolved(each, document)) for status, each in operation["responses"].items())
    yield from table(
        ("status", "meaning", "body"), ((status, each["description"], _content(each)) for status, each in answers)
    )


def _parameter(parameter: Json) -> tuple[str, str, str, str]:
    need = ", required" if parameter.get("required") and parameter["in"] != "path" else ""
    takes = in_words(parameter.get("schema", {}))
    return f"`{parameter['name']}`", parameter["in"], takes + need, parameter.get("description", "")


def _content(holder: Json) -> str:
    """What a body holds: its schema, and its type unless that is JSON."""
    kinds = []
    for media, content in holder.get("content", {}).items():
        words = in_words(content.get("schema", {}))
        kinds.append(words if media == "application/json" else f"{words} (`{media}`)".lstrip())
    return " or ".join(kinds) or "-"


def _schemas(document: Json) -> Iterator[str]:
    schemas = document.get("components", {}).get("schemas", {})
    if schemas:
        yield from ("## Schemas", "")
    for name, schema in schemas.items():
        yield f"### `{name}`"
        yield ""
        yield from _paragraph(schema)
        if "properties" in schema:
            yield from table(("key", "takes", "default", "meaning"), _keys(schema))
        else:
            yield from (f"{in_words(schema)}.", "")


def _keys(schema: Json) -> Iterator[tuple[str, str, str, str]]:
    for key, about in schema["properties"].items():
        default = "required" if key in schema.get("required", ()) else _default(about)
        yield f"`{key}`", in_words(about), default, about.get("description", "")


def _default(schema: Json) -> str:
    if "default" not in schema:
        return "-"
    value = schema["default"]
    return "none" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _resolved(holder: Json, document: Json) -> Json:
    """What a reference leads to; anything else as it is."""
    if "$ref" not in holder:
        return holder
    found: Any = document
    for part in holder["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return _resolved(found, document)


def in_words(schema: Json) -> str:
    """What a value may be: `1 to 900`, `text of up to 128 characters`, `a list of ...`."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if kinds := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(map(in_words, kinds)))
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        words = schema["enum"]
        return code(*words) if len(words) <= _FEW else f"{code(*words[:_FEW])} and {len(words) - _FEW} more"
    return _plain(schema.get("type", "any"), schema)


def _plain(kind: str | list[str], schema: Json) -> str:
    if isinstance(kind, list):
        return " or ".join(_plain(each, schema) for each in kind)
    if kind in ("integer", "number"):
        return _bounds(schema, "minimum", "maximum") or f"a {'whole ' if kind == 'integer' else ''}number"
    if kind == "string":
        bounds = _bounds(schema, "minLength", "maxLength")
        return _text(schema.get("format")) + (f" of {bounds} characters" if bounds else "")
    if kind == "array":
        bounds = _bounds(schema, "minItems", "maxItems")
        return f"a list of {f'{bounds}: ' if bounds else ''}{in_words(schema.get('items', {}))}"
    return _SIMPLE.get(kind, "anything")


def _text(form: str | None) -> str:
    return f"text ({form})" if form else "text"


def _bounds(schema: Json, least: str, most: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None:
        return f"{low} to {high}"
    if high is not None:
        return f"up to {high}"
    return "" if low is None else f"{low} or more"
