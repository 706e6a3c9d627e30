"""`fastnlb security-policy`: which security policies there are, and what is in one.

The system policies, and with `-c FILE` those that a configuration file defines; no daemon is asked.
Exit status: 0 answered, 1 refused (an unknown name, a file that is wrong), 2 usage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

from fastnlb.config.errors import ConfigError, quote, suggest
from fastnlb.config.load import own_policies
from fastnlb.model import DEFAULT_SECURITY_POLICY, SecurityPolicy
from fastnlb.tls.available import missing_ciphers
from fastnlb.tls.policies import DEFAULT_GROUPS, SYSTEM

_REFUSED = 1
_CONFIG = click.option("-c", "--config", type=click.Path(path_type=Path), help="With the policies of this file.")
_OUTPUT = click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.group()
def security_policy() -> None:
    """Show the security policies: TLS versions, ciphers and groups."""


@security_policy.command("list")
@_CONFIG
@_OUTPUT
@click.pass_context
def list_policies(context: click.Context, config: Path | None, output: str) -> None:
    """List the system policies, and those of a configuration file."""
    policies = _policies(context, config).values()
    if output == "json":
        click.echo(json.dumps([_as_data(policy) for policy in policies], indent=2))
    else:
        click.echo("\n".join(_table(list(map(_row, policies)))))


@security_policy.command("show")
@click.argument("name")
@_CONFIG
@_OUTPUT
@click.pass_context
def show_policy(context: click.Context, name: str, config: Path | None, output: str) -> None:
    """Show one policy, its ciphers in the order the server prefers."""
    policies = _policies(context, config)
    if name not in policies:
        hint = suggest(name, policies) or f"; there are {', '.join(policies)}"
        _refuse(context, f"fastnlb: there is no security policy {quote(name)}{hint}")
    policy = policies[name]
    click.echo(json.dumps(_as_data(policy), indent=2) if output == "json" else "\n".join(_page(policy)))


def _policies(context: click.Context, config: Path | None) -> dict[str, SecurityPolicy]:
    """By name: where a running daemon is asked, it is asked here."""
    try:
        own = own_policies(config) if config is not None else ()
    except ConfigError as error:
        file = click.format_filename(config or "")
        _refuse(context, "\n".join(problem.render(file) for problem in error.problems))
    return {policy.name: policy for policy in (*SYSTEM.values(), *own)}


def _refuse(context: click.Context, message: str) -> NoReturn:
    click.echo(message, err=True)
    context.exit(_REFUSED)


def _as_data(policy: SecurityPolicy) -> dict[str, object]:
    """The keys of the configuration file, and what is known besides."""
    return {
        "name": policy.name,
        "tls_versions": policy.tls_versions,
        "ciphers": policy.ciphers,
        "groups": policy.groups or DEFAULT_GROUPS,
        "system": policy.name in SYSTEM,
        "default": policy.name == DEFAULT_SECURITY_POLICY,
        "ciphers_not_available": missing_ciphers(policy),
    }


def _row(policy: SecurityPolicy) -> tuple[str, ...]:
    missing = len(missing_ciphers(policy))
    ciphers = f"{len(policy.ciphers)}, {missing} not available" if missing else str(len(policy.ciphers))
    return policy.name, " ".join(policy.tls_versions), ciphers, " ".join(policy.groups) or "default", _origin(policy)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    rows.insert(0, ("NAME", "TLS VERSIONS", "CIPHERS", "GROUPS", "ORIGIN"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _page(policy: SecurityPolicy) -> Iterator[str]:
    yield f"name          {policy.name} ({_origin(policy)})"
    yield f"TLS versions  {' '.join(policy.tls_versions)}"
    yield f"groups        {' '.join(policy.groups or DEFAULT_GROUPS)}"
    missing = missing_ciphers(policy)
    for position, cipher in enumerate(policy.ciphers):
        heading = "ciphers" if position == 0 else ""
        yield f"{heading:14}{cipher}{' (not available)' if cipher in missing else ''}"


def _origin(policy: SecurityPolicy) -> str:
    if policy.name == DEFAULT_SECURITY_POLICY:
        return "system, the default"
    return "system" if policy.name in SYSTEM else "of the file"
