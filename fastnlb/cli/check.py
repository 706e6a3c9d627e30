"""`fastnlb check`: say everything that is wrong with a configuration file, and where.

Exit status 0 when the file could be run (warnings or not), 1 when it was refused or cannot be read.  Problems go to
standard output, one line each, because they are what was asked for.  A note tells of something that is as it should
be and yet may surprise.

With `--diff` the running daemon is asked what the file would change in it; 4 when none answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from fastnlb.cli.admin_client import ask, lines_of
from fastnlb.cli.printing import say
from fastnlb.cli.progress import waiting
from fastnlb.cli.target import Target, which_local_daemon
from fastnlb.config.errors import ConfigError, Problem, count
from fastnlb.config.load import load
from fastnlb.model import Snapshot
from fastnlb.tls.available import missing_ciphers


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to answer."
)
@click.option("--diff", is_flag=True, help="Show what it would change in the running daemon, too.")
@which_local_daemon
@click.pass_context
def check(context: click.Context, *, config: Path, form: str, diff: bool, daemon: Target) -> None:
    """Check a configuration file and report every problem in it."""
    problems: Sequence[Problem]
    snapshot = None
    try:
        loaded = load(config)
        problems, snapshot = loaded.warnings, loaded.snapshot
    except ConfigError as refused:
        problems = refused.problems
    file = click.format_filename(config)
    notes = [] if snapshot is None else _notes(snapshot)
    changes = _changes(config, daemon) if diff and snapshot is not None else None
    if form == "json":
        answer = _as_json(file, problems, notes, changes)
    else:
        answer = "\n".join([_as_text(file, problems, notes, snapshot), *(changes or [])])
    say(answer)
    context.exit(0 if snapshot is not None else 1)


def _changes(config: Path, daemon: Target) -> list[str]:
    """What the daemon would do with the file, a line for each thing.  Exits when it does not answer, or refuses."""
    with waiting("asking the daemon"):
        answer = ask(daemon, "GET", "/api/v1/plan", query={"config": config.absolute()})
    return lines_of(answer, "the daemon would refuse it") or ["nothing would change"]


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


def _as_json(
    file: str, problems: Sequence[Problem], notes: Sequence[str], changes: Sequence[str] | None = None
) -> str:
    answer: dict[str, object] = {
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
    if changes is not None:
        answer["changes"] = list(changes)
    return json.dumps(answer, indent=2)
