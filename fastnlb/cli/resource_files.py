"""Resources from files: YAML or JSON, of which `-` is standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fastnlb.cli.refusal import Refused
from fastnlb.config.document import MAX_BYTES, Document, parse
from fastnlb.config.errors import ConfigError

STDIN = "-"


def read_document(file: str) -> Document:
    """What is in the file.  Raises Refused with every problem at its place."""
    shown = shown_name(file)
    try:
        if file == STDIN:
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                raw = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Refused([f"{shown}: cannot read: {getattr(error, 'strerror', None) or error}"]) from None
    try:
        return parse(raw)
    except ConfigError as error:
        raise Refused([problem.render(shown) for problem in error.problems]) from None


def read_resource(file: str) -> dict[str, Any]:
    """The one resource in the file.  Raises Refused."""
    data = read_document(file).data
    if not isinstance(data, dict):
        raise Refused([f"{shown_name(file)}: the keys of one resource are needed, such as name: web"])
    return data


def folder_of(file: str) -> Path:
    """What paths in the file are relative to."""
    return Path() if file == STDIN else Path(file).parent


def shown_name(file: str) -> str:
    """How messages call it."""
    return "standard input" if file == STDIN else str(click.format_filename(file))
