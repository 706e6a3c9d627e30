"""The pages that are derived from the code: up to date, whole, and a page of any OpenAPI document."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from fastnlb.cli.main import COMMANDS, main
from fastnlb.config.availability import TABLE
from fastnlb.config.schema import Block, ListenerBlock
from fastnlb.reference.__main__ import PAGES
from fastnlb.reference.commands import commands_md
from fastnlb.reference.configuration import configuration_md
from fastnlb.reference.openapi import api_md, in_words

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_is_up_to_date(page: Path) -> None:
    assert page.read_text() == PAGES[page](), "python -m fastnlb.reference writes it anew"


def row(page: str, section: str, key: str) -> list[str]:
    """The cells of a key's row in the section with this heading."""
    _, _, rest = page.partition(f"## `{section}`\n")
    (line,) = re.findall(
        rf"^\| `{key}` \|.*$", re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE
    )
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_reference_has_every_key_of_every_block() -> None:
    page = configuration_md()
    for block in Block.__subclasses__():
        for key in block.model_fields:
            assert f"| `{key}` |" in page


def test_a_key_has_its_range_its_default_and_its_meaning() -> None:
    page = configuration_md()
    assert row(page, "listeners[]", "idle_timeout")[1:3] == ["1 to 900 seconds", "`900`"]
    assert "without a byte" in row(page, "listeners[]", "idle_timeout")[3]
    assert row(page, "listeners[]", "name")[2] == "required"
    assert row(page, "server_groups[].health_check", "type")[1] == "`TCP`, `HTTP`"
    assert row(page, "server_groups[].servers[]", "weight")[1:3] == ["0 to 100", "`100`"]
    assert row(page, "security_policies[]", "ciphers")[1].startswith("a list of 1 to 32: ")
    assert "`ECDHE-ECDSA-AES128-GCM-SHA256`" in page


def test_what_is_not_there_yet_is_not_promised() -> None:
    page = configuration_md()
    for each in TABLE:
        *outer, key = each.path
        section = ".".join(outer).replace(".*", "[]")
        cells = row(page, section, key)
        assert "UDP`" not in cells[1].replace("TCP_UDP", "")
        assert "`" in cells[1] or cells[3].endswith("(not in this version)")


def leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(name, command)]
    context = click.Context(command)
    inner = [(each, command.get_command(context, each)) for each in command.list_commands(context)]
    return [leaf for each, found in inner if found is not None for leaf in leaves(found, f"{name} {each}")]


def test_every_command_and_every_option_is_on_the_page_and_says_what_it_does() -> None:
    page = commands_md()
    commands = leaves(main, "fastnlb")
    assert len(commands) >= len(COMMANDS)
    for name, command in commands:
        _, found, rest = page.partition(f"## {name}\n")
        assert found, name
        section = rest.split("\n## ")[0]
        if "\nIt takes the options of *Which daemon is meant*" in section:
            section += page.partition("## Which daemon is meant\n")[2]
        for option in (each for each in command.params if isinstance(each, click.Option)):
            assert option.help, f"{name} {option.opts[0]}"
            assert re.search(rf"^`.*{option.opts[-1]}\b.*`\n: \w", section, re.MULTILINE), f"{name} {option.opts[-1]}"


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "A small API", "version": "1.2", "description": "What it is for."},
    "tags": [{"name": "listeners", "description": "What clients connect to."}],
    "paths": {
        "/listeners": {
            "get": {
                "tags": ["listeners"],
                "summary": "List them",
                "parameters": [
                    {
                        "name": "limit",
                        "in": "query",
                        "description": "Most | items.",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
                    },
                    {"$ref": "#/components/parameters/Tag"},
                ],
                "responses": {
                    "200": {
                        "description": "A page",
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/ListenerBlock"}}
                            }
                        },
                    }
                },
            },
            "post": {
                "tags": ["listeners"],
                "description": "Returns when all workers serve it.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ListenerBlock"}}},
                },
                "responses": {
                    "201": {"description": "Made"},
                    "422": {
                        "description": "Refused",
                        "content": {"application/problem+json": {"schema": {"type": "object"}}},
                    },
                },
            },
        },
        "/healthz": {"get": {"responses": {"200": {"description": "Up", "content": {"text/plain": {}}}}}},
    },
    "components": {
        "parameters": {"Tag": {"name": "tag", "in": "query", "required": True, "schema": {"type": "string"}}},
        "schemas": {"ListenerBlock": ListenerBlock.model_json_schema(ref_template="#/components/schemas/{model}")},
    },
}


def test_a_page_of_an_openapi_document() -> None:
    page = api_md(DOCUMENT)
    lines = page.split("\n")
    assert lines[0] == "# A small API"
    headings = [line for line in lines if line.startswith("#")]
    assert headings[1:5] == ["## listeners", "### `GET /listeners`", "### `POST /listeners`", "## Other"]
    assert "| `limit` | query | 1 to 500 | Most \\| items. |" in lines
    assert "| `tag` | query | text, required |  |" in lines
    assert "| `200` | A page | a list of [`ListenerBlock`](#listenerblock) |" in lines
    assert "The body is [`ListenerBlock`](#listenerblock)." in lines
    assert "| `422` | Refused | a mapping (`application/problem+json`) |" in lines
    assert "| `201` | Made | - |" in lines
    assert "### `ListenerBlock`" in headings
    assert "| `idle_timeout` | 1 to 900 | `900` | seconds without a byte in either direction" in page
    assert "| `port` | 1 to 65535 or null | none |" in page


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "integer"}, "a whole number"),
        ({"type": "integer", "minimum": 0}, "0 or more"),
        ({"type": "string", "maxLength": 128}, "text of up to 128 characters"),
        ({"type": "string", "format": "date-time"}, "text (date-time)"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"const": "auto"}, "`auto`"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"enum": list(range(14))}, f"{', '.join(f'`{n}`' for n in range(12))} and 2 more"),
        ({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "null"}]}, "text or null"),
        (
            {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "integer"}},
            "a list of 1 to 4: a whole number",
        ),
        ({"allOf": [{"$ref": "#/components/schemas/A"}]}, "[`A`](#a)"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], words: str) -> None:
    assert in_words(schema) == words


def test_the_manual_page_has_what_such_a_page_has(tmp_path: Path) -> None:
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "-b",
            "man",
            "-d",
            str(tmp_path / "trees"),
            str(DOCS),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "fastnlb.1").read_text()
    sections = re.findall(r'^\.SH "?(.*?)"?$', page, re.MULTILINE | re.IGNORECASE)
    assert [each.upper() for each in sections if each.upper() != "AUTHOR"][:9] == [
        *(
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "COMMANDS",
            "EXIT STATUS",
            "SIGNALS",
            "ENVIRONMENT",
            "FILES",
            "EXAMPLES",
        ),
    ]
    assert re.search(r"^\.SS fastnlb security", page, re.MULTILINE)
    assert "XDG_RUNTIME_DIR" in page
