"""`fastnlb check`: say everything that is wrong with a configuration file, and where.

Exit status 0 when the file could be run (warnings or not), 1 when it was refused or cannot be read.  Problems go to
standard output, one line each, because they are what was asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from fastnlb.config.errors import ConfigError, Problem, count
from fastnlb.config.load import load
from fastnlb.model import Snapshot


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to answer."
)
@click.option("--diff", is_flag=True, help="Not available in this version.")
@click.pass_context
def check(context: click.Context, config: Path, form: str, diff: bool) -> None:
    """Check a configuration file and report every problem in it."""
    if diff:
        click.echo("fastnlb: check --diff is not available in this version of fastnlb (0.1)", err=True)
        context.exit(1)
    problems: Sequence[Problem]
    snapshot = None
    try:
        loaded = load(config)
        problems, snapshot = loaded.warnings, loaded.snapshot
    except ConfigError as refused:
        problems = refused.problems
    file = click.format_filename(config)
    click.echo(_encodable(_as_json(file, problems) if form == "json" else _as_text(file, problems, snapshot)))
    context.exit(0 if snapshot is not None else 1)


def _encodable(text: str) -> str:
    """Names and paths are the user's own, and the encoding of standard output may lack their letters."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _as_text(file: str, problems: Sequence[Problem], snapshot: Snapshot | None) -> str:
    lines = [problem.render(file) for problem in problems]
    if snapshot is not None or any(problem.line for problem in problems):
        lines.append(f"{file}: {_summary(problems, snapshot)}")
    return "\n".join(lines)


def _summary(problems: Sequence[Problem], snapshot: Snapshot | None) -> str:
    warnings = sum(problem.warning for problem in problems)
    found = [count(warnings, "warning")] if warnings else []
    if snapshot is None:
        return ", ".join([count(len(problems) - warnings, "error"), *found])
    parts = (
        count(len(snapshot.listeners), "listener"),
        count(len(snapshot.server_groups), "server group"),
        count(len(snapshot.certificates), "certificate"),
    )
    return ", ".join([f"ok ({', '.join(parts)})", *found])


def _as_json(file: str, problems: Sequence[Problem]) -> str:
    answer = {
        "file": file,
        "ok": all(problem.warning for problem in problems),
        "problems": [
            {
                "line": problem.line,
                "column": problem.column,
                "path": problem.path,
                "severity": "warning" if problem.warning else "error",
                "message": problem.message,
            }
            for problem in problems
        ],
    }
    return json.dumps(answer, indent=2)
