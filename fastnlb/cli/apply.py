"""`fastnlb apply`: makes what a daemon serves what a file says, whole, in one change.

The file is a fastnlb.yaml, or what `export` has printed.  Certificates, keys, lists and OCSP responses that it names
by paths are read here and sent.  Settings of the daemon in it are left aside.
Exit status: 0 done, 1 refused and nothing has changed, 2 usage, 4 the daemon does not answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from fastnlb.cli.admin_client import Answer, ask
from fastnlb.cli.change import DRY_RUN, YES, asks, confirm, dry, removals, show_change
from fastnlb.cli.kinds import KINDS, Kind, kind_of
from fastnlb.cli.pem_files import SENT, with_contents
from fastnlb.cli.printing import output_option, say
from fastnlb.cli.progress import waiting
from fastnlb.cli.refusal import Refused, problem_line, refusal_lines
from fastnlb.cli.resource_files import folder_of, read_document, shown_name
from fastnlb.cli.target import Target, which_daemon
from fastnlb.config.document import Document
from fastnlb.config.errors import Where, quote, suggest
from fastnlb.config.keys import file_keys, unusual

URL = "/api/v1/apply"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_IN_FILES = {sent: key for key, sent in SENT.items()}


@click.command()
@click.option(
    "-f",
    "--file",
    required=True,
    metavar="FILE",
    help="A fastnlb.yaml, or what `export` has printed; - reads standard input.",
)
@YES
@DRY_RUN
@output_option()
@which_daemon
def apply(*, daemon: Target, file: str, yes: bool, dry_run: bool, output: str) -> None:
    """Make what the daemon serves what a file says: all of it, in one change."""
    document = read_document(file)
    resources = _resources(document, file)
    _note_settings(document.data)
    if asks(yes) and not dry_run:
        _ask_first(daemon, document, resources, file)
    show_change(_send(daemon, document, resources, file, dry_run), output, dry_run=dry_run)


def _ask_first(daemon: Target, document: Document, resources: dict[str, Any], file: str) -> None:
    """Before something is removed."""
    gone = list(removals(_send(daemon, document, resources, file, True)))
    if gone:
        for line in gone:
            say(line, err=True)
        confirm("this is removed, because the file does not have it: go on?")


def _send(daemon: Target, document: Document, resources: dict[str, Any], file: str, dry_run: bool) -> Answer:
    with waiting("applying"):
        answer = ask(daemon, "POST", URL, query=dry(dry_run), body=resources)
    if not answer.good:
        raise Refused(_refusal(answer, document, file))
    return answer


def _resources(document: Document, file: str) -> dict[str, Any]:
    """What is sent.  Raises Refused for what is no configuration file, with its places."""
    data = document.data
    if not isinstance(data, dict):
        raise Refused([f"{shown_name(file)}: the keys of a configuration are needed, such as listeners"])
    known = file_keys()
    unknown = [key for key in data if key not in known]
    if unknown:
        raise Refused(
            f"{_key_place(document, key, file)}: unknown key {quote(key)}{suggest(key, known)}" for key in unknown
        )
    return {kind.key: _read(kind, data[kind.key], document, file) for kind in KINDS if data.get(kind.key) is not None}


def _read(kind: Kind, items: object, document: Document, file: str) -> object:
    """The resources of one kind with their files; what is no list of mappings is for the daemon to refuse."""
    if not isinstance(items, list):
        return items
    made, problems = [], []
    for index, item in enumerate(items):
        name = str(item.get("name") or f"number {index + 1}") if isinstance(item, dict) else ""
        try:
            made.append(
                with_contents(kind, item, folder_of(file), kind.subject(name)) if isinstance(item, dict) else item
            )
        except Refused as refused:
            problems += [f"{_place(document, (kind.key, index), file)}: {line}" for line in refused.lines]
    if problems:
        raise Refused(problems)
    return made


def _note_settings(data: Any) -> None:
    """Says which settings of the file are not the daemon's defaults, and are not sent."""
    left = unusual(data)
    if left:
        say(f"note: settings of the daemon are not sent, its own file has them: {', '.join(left)}", err=True)


def _refusal(answer: Answer, document: Document, file: str) -> list[str]:
    """Every problem, with its place in the file where it has one."""
    problems = answer.data.get("errors")
    if not problems:
        return refusal_lines(answer.data)
    return [f"{_place(document, _where(document.data, each), file)}: {problem_line(each)}" for each in problems]


def _where(data: Any, problem: Mapping[str, Any]) -> Where:
    """The place in the document that a problem of a resource stands for."""
    word, _, name = str(problem.get("resource") or "").partition("/")
    kind, steps = kind_of(word), tuple(_steps(str(problem.get("path") or "")))
    if kind is None:
        return steps
    items = data.get(kind.key)
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and str(item.get("name")) == name:
            return (kind.key, index, *steps)
    return (kind.key,)


def _steps(path: str) -> Iterator[str | int]:
    for key, index in _STEP.findall(path):
        yield int(index) if index else _IN_FILES.get(key, key)


def _key_place(document: Document, key: str, file: str) -> str:
    line, column = document.marks.key((key,))
    return f"{shown_name(file)}:{line}:{column}"


def _place(document: Document, where: Where, file: str) -> str:
    line, column = document.marks.value(where)
    return f"{shown_name(file)}:{line}:{column}"
