"""`fastnlb check`: say everything that is wrong with a configuration file, and where.

Exit status 0 when the file could be run (warnings or not), 1 when it was refused or cannot be read.  Problems go to
standard output, one line each, because they are what was asked for.  A note tells of something that is as it should
be and yet may surprise.
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
from fastnlb.tls.available import missing_ciphers


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
    notes = [] if snapshot is None else _notes(snapshot)
    answer = _as_json(file, problems, notes) if form == "json" else _as_text(file, problems, notes, snapshot)
    click.echo(_encodable(answer))
    context.exit(0 if snapshot is not None else 1)


def _encodable(text: str) -> str:
    """Names and paths are the user's own, and the encoding of standard output may lack their letters."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _notes(snapshot: Snapshot) -> list[str]:
    """What the TLS library lacks of the policies in use, and what is not looked at here."""
    notes = []
    names = {each.host for group in snapshot.server_groups for each in group.named_servers}
    if names:
        notes.append(f"{count(len(names), 'host name')} of servers: resolved by the daemon when it runs, not here")
    for policy in snapshot.security_policies:
        missing = missing_ciphers(policy)
        if missing:
            lacking = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in the bundled TLS library"
            without = "it" if len(missing) == 1 else "them"
            notes.append(f"security policy {policy.name}: {lacking}; the policy works without {without}")
    return notes


def _as_text(file: str, problems: Sequence[Problem], notes: Sequence[str], snapshot: Snapshot | None) -> str:
    lines = [problem.render(file) for problem in problems]
    lines += [f"note: {note}" for note in notes]
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


def _as_json(file: str, problems: Sequence[Problem], notes: Sequence[str]) -> str:
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
                "code": problem.code,
            }
            for problem in problems
        ],
        "notes": list(notes),
    }
    return json.dumps(answer, indent=2)
