"""`list`, `show`, `create`, `update` and `delete` of one kind of resource, made from its entry in `kinds`.

A command is made when it is asked for: only those that change something need the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from fastnlb.cli.admin_client import ask, demand
from fastnlb.cli.change import DRY_RUN, FILE_OPTION, IF_MATCH, YES, asks, confirm, dry, matching, show_change
from fastnlb.cli.kinds import CERTIFICATE, LISTENER, SERVER_GROUP, Kind
from fastnlb.cli.pem_files import files_of, with_contents
from fastnlb.cli.printing import TABLE, output_option, show_data
from fastnlb.cli.resource_text import Resource, listener_place, show_list, show_page
from fastnlb.cli.target import Target, target_of, which_daemon
from fastnlb.config.errors import count

if TYPE_CHECKING:
    from fastnlb.cli.block_options import Setting, Settings

PAGE = 1000
COMPLETION_SECONDS = 2.0
Maker = Callable[[], click.Command]


class ResourceGroup(click.Group):
    """A group whose commands are made when they are asked for."""

    def __init__(self, kind: Kind, name: str, help: str, makers: Mapping[str, Maker], **keywords: Any) -> None:
        super().__init__(name=name, help=help, **keywords)
        self._makers = {**_common(kind), **makers}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._makers)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._makers and cmd_name not in self.commands:
            self.commands[cmd_name] = self._makers[cmd_name]()
        return self.commands.get(cmd_name)


def _common(kind: Kind) -> dict[str, Maker]:
    return {
        "list": lambda: list_command(kind),
        "show": lambda: show_command(kind),
        "create": lambda: create_command(kind),
        "update": lambda: update_command(kind),
        "delete": lambda: delete_command(kind),
    }


def list_command(kind: Kind) -> click.Command:
    @click.command("list", help=f"List the {kind.nouns}, by name.")
    @click.option("--tag", "tag", multiple=True, metavar="KEY=VALUE", help="Only with this tag; repeat for more.")
    @click.option("--name", metavar="TEXT", help="Only with this in the name, or a pattern such as web-*.")
    @_protocol_option(kind)
    @output_option()
    @which_daemon
    def command(daemon: Target, output: str, **filters: Any) -> None:
        items = list(items_of(daemon, kind, filters))
        if output == TABLE:
            show_list(kind, items)
        else:
            show_data(items, output)

    return command


def show_command(kind: Kind) -> click.Command:
    @click.command("show", help=f"Show one {kind.noun}: its keys, and its state at this moment.")
    @name_argument(kind)
    @output_option()
    @which_daemon
    def command(daemon: Target, name: str, output: str) -> None:
        resource = demand(daemon, "GET", kind.url_of(name), kind.subject(name)).data
        if output == TABLE:
            show_page(kind, resource)
        else:
            show_data(resource, output)

    return command


def create_command(kind: Kind) -> click.Command:
    from fastnlb.cli.block_options import merged  # noqa: PLC0415  the schema is for those who need it

    settings = _settings(kind, _for_new(kind), defaults=True)

    @click.command("create", help=f"Create a {kind.noun}, and return when every worker serves it.")
    @click.argument("name", required=False)
    @settings.options
    @FILE_OPTION
    @DRY_RUN
    @output_option()
    @which_daemon
    def command(daemon: Target, name: str | None, file: str | None, dry_run: bool, output: str, **typed: Any) -> None:
        given, name = _from_file(kind, name, file)
        subject = kind.subject(name)
        body = merged(given, with_contents(kind, settings.take(typed), Path(), subject))
        answer = demand(daemon, "POST", kind.url, subject, query=dry(dry_run), body={"name": name, **body})
        show_change(answer, output, subject, dry_run=dry_run)

    return command


def update_command(kind: Kind) -> click.Command:
    from fastnlb.cli.block_options import merged  # noqa: PLC0415

    settings = _settings(kind)

    @click.command("update", help=f"Change a {kind.noun}: what is given, all else stays.")
    @name_argument(kind)
    @settings.options
    @FILE_OPTION
    @click.option("--replace", is_flag=True, help="Make it what is given: keys left out go back to their defaults.")
    @DRY_RUN
    @IF_MATCH
    @output_option()
    @which_daemon
    def command(
        *,
        daemon: Target,
        name: str,
        file: str | None,
        replace: bool,
        dry_run: bool,
        if_match: str | None,
        output: str,
        **typed: Any,
    ) -> None:
        given = _from_file(kind, name, file)[0] if file is not None else {}
        subject = kind.subject(name)
        patch = with_contents(kind, settings.take(typed), Path(), subject)
        if not patch and file is None:
            raise click.UsageError("there is nothing to change: give an option, or -f FILE")
        body = merged(given, patch) if replace else _overlaid(given, patch)
        request = {"query": dry(dry_run), "headers": matching(if_match), "body": body}
        answer = demand(daemon, "PUT" if replace else "PATCH", kind.url_of(name), subject, **request)
        show_change(answer, output, subject, dry_run=dry_run)

    return command


def delete_command(kind: Kind) -> click.Command:
    @click.command("delete", help=f"Delete a {kind.noun}, after a question on a terminal.")
    @name_argument(kind)
    @YES
    @DRY_RUN
    @IF_MATCH
    @output_option()
    @which_daemon
    def command(*, daemon: Target, name: str, yes: bool, dry_run: bool, if_match: str | None, output: str) -> None:
        subject = kind.subject(name)
        if asks(yes) and not dry_run:
            resource = demand(daemon, "GET", kind.url_of(name), subject).data
            confirm(f"delete {subject}? {_lost(kind, resource)}")
        request = {"query": dry(dry_run), "headers": matching(if_match)}
        answer = demand(daemon, "DELETE", kind.url_of(name), subject, **request)
        show_change(answer, output, subject, dry_run=dry_run)

    return command


def name_argument(kind: Kind) -> Callable[[Any], Any]:
    """The name of a resource; the shell completes those that there are."""

    def complete(context: click.Context, _parameter: click.Parameter, begin: str) -> list[CompletionItem]:
        asked = {"name": begin or None, "limit": PAGE}
        try:
            answer = ask(target_of(context), "GET", kind.url, query=asked, patience=COMPLETION_SECONDS)
        except click.ClickException:
            return []
        names = [str(each.get("name")) for each in answer.data.get("items") or []]
        return [CompletionItem(each) for each in names if each.startswith(begin)]

    return click.argument("name", shell_complete=complete)


def items_of(daemon: Target, kind: Kind, filters: Mapping[str, Any]) -> Iterator[Resource]:
    """All of a kind that match, page by page.  Raises NoAnswer, Refused."""
    cursor: str | None = None
    while True:
        query = {**filters, "limit": PAGE, "cursor": cursor}
        data = demand(daemon, "GET", kind.url, query=query).data
        yield from data.get("items") or []
        cursor = data.get("next")
        if cursor is None:
            return


def _settings(kind: Kind, more: tuple[Setting, ...] = (), *, defaults: bool = False) -> Settings:
    from fastnlb.cli.block_options import Settings  # noqa: PLC0415

    return Settings(kind.block(), files_of(kind), more, defaults=defaults)


def _for_new(kind: Kind) -> tuple[Setting, ...]:
    """What only a new one can have."""
    if kind != CERTIFICATE:
        return ()
    from fastnlb.cli.block_options import list_setting  # noqa: PLC0415

    help_ = "In place of files: have a certificate for these host names made, to try with; 30 days."
    return (list_setting(("self_signed",), "--self-signed", "NAME[,NAME]", help_),)


def _protocol_option(kind: Kind) -> Callable[[Any], Any]:
    if kind not in (LISTENER, SERVER_GROUP):
        return lambda command: command
    return click.option("--protocol", metavar="TEXT", help="Only with this protocol, such as TCP.")


def _from_file(kind: Kind, name: str | None, file: str | None) -> tuple[dict[str, Any], str]:
    """The resource in the file, if there is one, and the name of what is meant."""
    if file is None:
        if name is None:
            raise click.UsageError("Missing argument 'NAME' (or -f FILE, with a name in it).")
        return {}, name
    from fastnlb.cli.resource_files import folder_of, read_resource  # noqa: PLC0415

    resource = read_resource(file)
    name = name or (str(resource["name"]) if resource.get("name") else None)
    if name is None:
        raise click.UsageError(f"there is no name in {file}: give one as NAME")
    return {**with_contents(kind, resource, folder_of(file), kind.subject(name)), "name": name}, name


def _overlaid(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two merge patches as one, the second above the first."""
    made = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = _overlaid(made[key], value) if both else value
    return made


def _lost(kind: Kind, resource: Resource) -> str:
    """What goes with it, in a sentence."""
    state = resource.get("state") or {}
    if kind == LISTENER:
        now = count(state.get("connections") or 0, "connection")
        return f"{listener_place(resource)} takes no new clients; it has {now} now"
    if kind == SERVER_GROUP:
        servers = state.get("servers") or resource.get("servers") or []
        now = count(sum(each.get("connections") or 0 for each in servers), "connection")
        return f"{count(len(servers), 'server')} with {now} now"
    return "its private key goes with it" if kind == CERTIFICATE else "it is in no other place"
