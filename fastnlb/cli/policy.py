"""`fastnlb security-policy`: which security policies there are, what is in one, and those of one's own.

`list` and `show` ask the daemon that is named, or the only one that this user runs.  Without a daemon, and with
`-c FILE`, they answer by themselves: the system policies, and those that the file defines.
Exit status: 0 answered, 1 refused (an unknown name, a file that is wrong), 2 usage, 4 the daemon does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from fastnlb.cli.admin_client import Answer, ask, demand
from fastnlb.cli.kinds import SECURITY_POLICY
from fastnlb.cli.printing import TABLE, output_option, say, show_data, show_table
from fastnlb.cli.refusal import Refused
from fastnlb.cli.resource_commands import ResourceGroup, items_of
from fastnlb.cli.target import NoAnswer, Target, which_daemon
from fastnlb.config.errors import ConfigError, quote, suggest
from fastnlb.config.load import own_policies
from fastnlb.model import DEFAULT_SECURITY_POLICY, SecurityPolicy
from fastnlb.tls.available import missing_ciphers
from fastnlb.tls.policies import DEFAULT_GROUPS, SYSTEM

Item = dict[str, Any]

PATIENCE = 5.0  # seconds, with a daemon that nobody has named

_CONFIG = click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="With the policies of this file; no daemon is asked."
)


@click.command("list")
@_CONFIG
@click.option("--tag", "tag", multiple=True, metavar="KEY=VALUE", help="Only with this tag; a daemon is asked.")
@click.option("--name", metavar="TEXT", help="Only with this in the name; a daemon is asked.")
@output_option()
@which_daemon
def list_policies(daemon: Target, config: Path | None, output: str, **filters: Any) -> None:
    """List the system policies, and those of a daemon or a file."""
    wanted = any(filters.values())
    if config is None and (wanted or _answers(daemon)):
        items = [_with_facts(each) for each in items_of(daemon, SECURITY_POLICY, filters)]
    elif wanted:
        raise click.UsageError("--tag and --name are for a daemon, and not for a file")
    else:
        items = [_as_data(policy) for policy in _policies(config).values()]
    if output == TABLE:
        show_table(("NAME", "TLS VERSIONS", "CIPHERS", "GROUPS", "ORIGIN"), [_row(each, config) for each in items])
    else:
        show_data(items, output)


@click.command("show")
@click.argument("name")
@_CONFIG
@output_option()
@which_daemon
def show_policy(daemon: Target, name: str, config: Path | None, output: str) -> None:
    """Show one policy, its ciphers in the order the server prefers."""
    if config is None and _answers(daemon):
        found = demand(daemon, "GET", SECURITY_POLICY.url_of(name), SECURITY_POLICY.subject(name)).data
        item = _with_facts(found)
    else:
        policies = _policies(config)
        if name not in policies:
            hint = suggest(name, policies) or f"; there are {', '.join(policies)}"
            raise Refused([f"fastnlb: there is no security policy {quote(name)}{hint}"])
        item = _as_data(policies[name])
    if output != TABLE:
        show_data(item, output)
        return
    for line in _page(item, config):
        say(line)


def _answers(daemon: Target) -> bool:
    """Whether to ask a daemon: one that was named, or one that is there and knows of policies."""
    if daemon.named:
        return True
    try:
        answer: Answer = ask(daemon, "GET", SECURITY_POLICY.url, query={"limit": 1}, patience=PATIENCE)
    except NoAnswer:
        return False
    return answer.good


def _policies(config: Path | None) -> dict[str, SecurityPolicy]:
    """By name: where a running daemon is asked, it is asked here."""
    try:
        own = own_policies(config) if config is not None else ()
    except ConfigError as error:
        file = click.format_filename(config or "")
        raise Refused([problem.render(file) for problem in error.problems]) from None
    return {policy.name: policy for policy in (*SYSTEM.values(), *own)}


def _as_data(policy: SecurityPolicy) -> Item:
    """The keys of the configuration file, and what is known besides."""
    return {
        "name": policy.name,
        "tls_versions": list(policy.tls_versions),
        "ciphers": list(policy.ciphers),
        "groups": list(policy.groups or DEFAULT_GROUPS),
        "system": policy.name in SYSTEM,
        "default": policy.name == DEFAULT_SECURITY_POLICY,
        "ciphers_not_available": list(missing_ciphers(policy)),
    }


def _with_facts(item: Mapping[str, Any]) -> Item:
    """What a daemon tells of a policy, and the same facts as where none is asked."""
    versions, ciphers, groups = (tuple(item.get(key) or ()) for key in ("tls_versions", "ciphers", "groups"))
    facts = _as_data(SecurityPolicy(str(item.get("name")), versions, ciphers, groups))
    return {**item, **facts}


def _row(item: Item, config: Path | None) -> tuple[str, ...]:
    missing = len(item["ciphers_not_available"])
    ciphers = f"{len(item['ciphers'])}, {missing} not available" if missing else str(len(item["ciphers"]))
    groups = "default" if item["groups"] == list(DEFAULT_GROUPS) else " ".join(item["groups"])
    return item["name"], " ".join(item["tls_versions"]), ciphers, groups, _origin(item, config)


def _page(item: Item, config: Path | None) -> Iterator[str]:
    yield f"name          {item['name']} ({_origin(item, config)})"
    yield f"TLS versions  {' '.join(item['tls_versions'])}"
    yield f"groups        {' '.join(item['groups'])}"
    yield from _column("ciphers", item["ciphers"], item["ciphers_not_available"])
    used_by = (item.get("state") or {}).get("used_by")
    if used_by:
        yield from _column("used by", used_by, ())


def _column(heading: str, words: Iterable[str], missing: Iterable[str]) -> Iterator[str]:
    for position, word in enumerate(words):
        yield f"{heading if position == 0 else '':14}{word}{' (not available)' if word in missing else ''}"


def _origin(item: Item, config: Path | None) -> str:
    if item["default"]:
        return "system, the default"
    if item["system"]:
        return "system"
    return "of the file" if config is not None else "of the daemon"


security_policy = ResourceGroup(
    SECURITY_POLICY,
    "security-policy",
    "Security policies: TLS versions, ciphers and groups.",
    {"list": lambda: list_policies, "show": lambda: show_policy},
)
