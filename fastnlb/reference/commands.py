"""The commands with their arguments and options, as click knows them: for the site and for the manual page.

What comes out begins with headings of the second level, and is included by both.  The options that say which daemon
is meant are the same in every command: they have a section of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from fastnlb.cli.main import main
from fastnlb.cli.target import CONNECTION

COMMON = "Which daemon is meant"


def commands_md() -> str:
    root = click.Context(main, info_name="fastnlb")
    lines = ["<!-- Generated from the commands by `python -m fastnlb.reference`; do not edit. -->", ""]
    for name in main.list_commands(root):
        lines += _command(name, main.get_command(root, name), root)
    lines += _common(main.get_command(root, "status"))
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: click.Command | None, parent: click.Context) -> Iterator[str]:
    if command is None or command.hidden:
        return
    context = click.Context(command, info_name=name, parent=parent)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _command(inner, command.get_command(context, inner), context)
        return
    yield f"## {context.command_path}"
    yield ""
    yield f"`{' '.join([context.command_path, *_usage(command)])}`"
    yield ""
    yield from inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n")
    yield ""
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    common = _connecting(options)
    for option in options:
        if option not in common:
            yield from _option(option)
    if common:
        yield f"It takes the options of *{COMMON}*, too."
        yield ""


def _connecting(options: list[click.Option]) -> list[click.Option]:
    """The options for a daemon, where a command has all of them."""
    found = [each for each in options if each.name in CONNECTION]
    return found if len(found) == len(CONNECTION) else []


def _common(command: click.Command | None) -> Iterator[str]:
    assert command is not None  # noqa: S101 - for the type checker
    yield f"## {COMMON}"
    yield ""
    yield "Without any of these it is the only one that this user runs."
    yield ""
    for option in command.params:
        if option.name in CONNECTION and isinstance(option, click.Option):
            yield from _option(option)


def _usage(command: click.Command) -> Iterator[str]:
    """Required options, that there are others, and arguments."""
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    for option in options:
        if option.required:
            yield f"{option.opts[0]} {_value(option)}{' ...' if option.multiple else ''}"
    if not all(option.required for option in options):
        yield "[OPTIONS]"
    for argument in command.params:
        if isinstance(argument, click.Argument):
            spelled = _value(argument) if isinstance(argument.type, click.Choice) else str(argument.name).upper()
            yield (spelled if argument.required else f"[{spelled}]") + (" ..." if argument.nargs != 1 else "")


def _option(option: click.Option) -> Iterator[str]:
    """A definition: the spellings of an option with what it takes, and its help."""
    value = "" if option.is_flag else f" {_value(option)}"
    notes = [
        *(["required"] if option.required else []),
        *([f"default: {option.default}"] if option.show_default else []),
        *([f"environment: {option.envvar}"] if option.show_envvar else []),
    ]
    yield f"`{', '.join([*option.opts, *option.secondary_opts])}{value}`"
    words = [*(option.help or "").split(), *([f"({', '.join(notes)})"] if notes else [])]
    yield f": {' '.join(words)}"
    yield ""


def _value(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    return parameter.metavar or parameter.type.name.upper()
