"""How commands print: tables, JSON and YAML on standard output.

A table is plain text whose columns are aligned, for a pipe or a file; a terminal gets the same with colours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import click

TABLE, JSON, YAML = "table", "json", "yaml"
GAP = 2  # between columns
GOOD, BAD, PALE = "green", "bold red", "dim"
_STYLES = {
    **dict.fromkeys(("healthy", "serving", "running", "normal"), GOOD),
    **dict.fromkeys(("unhealthy", "unavailable"), BAD),
    **dict.fromkeys(("stopped", "initial", "-"), PALE),
}

C = TypeVar("C", bound=Callable[..., Any])
Row = Sequence[object]


def output_option(*forms: str) -> Callable[[C], C]:
    """The option `--output`; the first of `forms` is the default."""
    forms = forms or (TABLE, JSON, YAML)
    help_ = "How to answer; json and yaml are for programs."
    return click.option("--output", type=click.Choice(forms), default=forms[0], show_default=True, help=help_)


def say(line: str, *, err: bool = False) -> None:
    """A line on standard output, or on standard error."""
    click.echo(encodable(line, err=err), err=err)


def encodable(text: str, *, err: bool = False) -> str:
    """Names and paths are the user's own, and the encoding of the stream may lack their letters."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def show_data(data: object, form: str) -> None:
    """As JSON or YAML."""
    if form == JSON:
        click.echo(json.dumps(data, indent=2))
        return
    from fastnlb.config.yaml_text import yaml_text  # noqa: PLC0415  only for those who want YAML

    ascii_only = encodable(text := yaml_text(data)) != text
    click.echo(yaml_text(data, ascii_only=True) if ascii_only else text, nl=False)


def show_table(head: Sequence[str], rows: Iterable[Row]) -> None:
    """On standard output, with colours where that is a terminal."""
    if sys.stdout.isatty():
        _show_in_colours(head, list(rows))
        return
    for line in aligned(head, rows):
        say(line)


def aligned(head: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a table; None is shown as -."""
    lines = [tuple(head), *(tuple(map(cell, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        yield (" " * GAP).join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


def cell(value: object) -> str:
    """What stands in a table for a value."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def style_of(text: str) -> str:
    """The style of a cell on a terminal, by what it says."""
    return _STYLES.get(text, "")


def rich_table(head: Sequence[str], rows: Iterable[Row]) -> Any:
    """The table as rich draws it."""
    from rich.table import Table  # noqa: PLC0415  only on terminals
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for title in head:
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(text, style_of(text)) for text in map(cell, row)))
    return table


def _show_in_colours(head: Sequence[str], rows: list[Row]) -> None:
    from rich.console import Console  # noqa: PLC0415  only on terminals

    wide = max(len(line) for line in aligned(head, rows))
    # A row that does not fit is wrapped by the terminal: what is cut off cannot be read, nor copied.
    Console(width=max(wide + GAP, Console().width)).print(rich_table(head, rows))
