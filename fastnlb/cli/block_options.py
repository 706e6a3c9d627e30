"""Options for every key of a block of fastnlb.yaml, and what was typed as a change of a resource.

They are made from the schema: a key that is added there is an option here.  Underscores become hyphens and blocks
within blocks dots: `--idle-timeout 60`, `--health-check.interval 5`.  Lists are repeated or written with commas,
switches are `--alpn-strict` and `--no-alpn-strict`, tags `--tag key=value`, servers `--server 10.0.0.1:80,weight=50`.

`--set PATH=VALUE` (a value as YAML has it) and `--unset PATH` (back to the default) take any key by its name in the
file.  A change is a merge patch (RFC 7396).  Whether values are right is for the daemon to say, at their fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from fastnlb.config.document import parse
from fastnlb.config.errors import ConfigError
from fastnlb.config.keys import Key, Shape, blocks_at, keys_of
from fastnlb.config.schema import Block, ServerGroupBlock

Patch = dict[str, Any]
Convert = Callable[[Any], Any]
C = TypeVar("C", bound=Callable[..., Any])

NAME = "name"  # an argument, not an option
_SINGULAR = {"tags": "tag", "servers": "server"}
_SERVER = "ADDRESS:PORT[,weight=N]"
_PORTS = re.compile(r"\s*(\d{1,9})\s*[-,:]\s*(\d{1,9})\s*")
_MORE = re.compile(r",(?=[a-z_]+=)")


@dataclass(frozen=True, slots=True)
class Setting:
    """An option for one key: where it stands in the resource, what click is told, what a value comes to."""

    where: tuple[str, ...]
    flag: str
    keywords: Mapping[str, Any]
    convert: Convert | None = None

    @property
    def parameter(self) -> str:
        """How click hands it over."""
        return "key__" + "__".join(self.where)

    def attach(self, command: C) -> C:
        return click.option(self.flag, self.parameter, **self.keywords)(command)


class Settings:
    """The options for a block, and `more` of them.

    `files` are the keys whose values are files of this machine.  With `defaults` the help says what goes without
    saying.
    """

    def __init__(
        self,
        block: type[Block],
        files: Iterable[str] = (),
        more: Iterable[Setting] = (),
        *,
        defaults: bool = False,
    ) -> None:
        keys = (key for key in keys_of(block) if key.where != (NAME,))
        self.all = [*(_setting(key, _help(key, defaults), key.where[0] in files) for key in keys), *more]

    def options(self, command: C) -> C:
        """Adds them to a command, with --set and --unset, in the order of the schema."""
        for option in reversed((*(each.attach for each in self.all), _SET, _UNSET)):
            command = option(command)
        return command

    def take(self, typed: dict[str, Any]) -> Patch:
        """The change that was typed; its parameters are taken out of `typed`.  Raises click.UsageError."""
        patch: Patch = {}
        given = set[tuple[str, ...]]()
        for setting in self.all:
            value = typed.pop(setting.parameter)
            if value is not None and value != ():
                _place(patch, setting.where, value if setting.convert is None else setting.convert(value), given)
        for where, value in typed.pop("set_"):
            _place(patch, where, value, given)
        for where in typed.pop("unset"):
            _place(patch, where, None, given)
        return patch


def merged(target: object, patch: object) -> Any:
    """`target` after the merge patch `patch` (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


def server_of(text: str) -> Patch:
    """`10.0.0.1:80`, `[::1]:80`, `app.test:80`, `unix:/path`, or no port; then `,weight=50`.  Raises UsageError."""
    place, *more = _MORE.split(text)
    address, port = address_and_port(place)
    server: Patch = {"address": address} if port is None else {"address": address, "port": port}
    for pair in more:
        key, _, value = pair.partition("=")
        if key not in _server_keys() or key in server:
            raise click.UsageError(f"--server {text}: no {key} here; there is {', '.join(_server_keys())}")
        server[key] = _yaml_value(value, f"--server {text}")
    return server


def address_and_port(text: str) -> tuple[str, int | None]:
    """An address and its port, None without one.  IPv6 addresses with a port stand in brackets.

    Raises click.UsageError.
    """
    if text.startswith("unix:"):
        return text, None
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,9}))?", text)
    if bracketed:
        return bracketed[1], int(bracketed[2]) if bracketed[2] else None
    if text.count(":") > 1:
        return text, None
    address, colon, port = text.partition(":")
    if not address or (colon and not (port.isascii() and port.isdecimal() and len(port) < 10)):
        raise click.UsageError(f"{text!r}: a server is address:port, as in 10.0.0.1:8080 or [::1]:8080")
    return address, int(port) if colon else None


def _setting(key: Key, text: str, file: bool) -> Setting:
    flag = "--" + ".".join(_SINGULAR.get(each, each).replace("_", "-") for each in key.where)
    if key.shape is Shape.SWITCH:
        return Setting(key.where, f"{flag}/--no-{flag[2:]}", {"help": text, "default": None})
    if key.shape is Shape.TEXTS:
        return list_setting(key.where, flag, "TEXT[,TEXT]", text, _completion(key.choices))
    if key.shape is Shape.MAPPING:
        return Setting(key.where, flag, {"help": text, "multiple": True, "metavar": "KEY=VALUE"}, tags_of)
    if key.shape is Shape.BLOCKS:
        text = f"{text}; repeat for more, they take the place of those there are.".lstrip("; ")
        return Setting(key.where, flag, {"help": text, "multiple": True, "metavar": _SERVER}, _servers)
    if key.shape is Shape.NUMBERS:
        return Setting(key.where, flag, {"help": text, "metavar": "FIRST-LAST"}, _ports)
    kinds: dict[tuple[bool, bool], tuple[Any, str]] = {
        (True, False): (int, "N"),
        (False, True): (click.Path(path_type=Path), "FILE"),
        (False, False): (str, "TEXT"),
    }
    kind, metavar = kinds[key.shape is Shape.NUMBER, file]
    if key.choices:
        metavar = "|".join(key.choices)
    return Setting(key.where, flag, {"help": text, "type": kind, "metavar": metavar, **_completion(key.choices)})


def list_setting(
    where: tuple[str, ...], flag: str, metavar: str, text: str, keywords: Mapping[str, Any] | None = None
) -> Setting:
    """A list of words, repeated or with commas."""
    words = {"help": text, "multiple": True, "metavar": metavar, **(keywords or {})}
    return Setting(where, flag, words, _list)


def _completion(choices: tuple[str, ...]) -> dict[str, Any]:
    """What the shell offers; the daemon is who refuses other words."""

    def complete(_context: click.Context, _option: click.Parameter, begin: str) -> list[str]:
        return [each for each in choices if each.startswith(begin)]

    return {"shell_complete": complete} if choices else {}


def _help(key: Key, defaults: bool) -> str:
    """One line, in the schema's own words."""
    text = key.meaning
    if key.shape is Shape.SWITCH:
        text = text.removeprefix("true = ").replace("false = ", "off: ", 1)
    text = text[:1].upper() + text[1:]
    if not defaults or key.default in (None, [], {}, ""):
        return text
    return f"{text}  [default: {_shown(key.default)}]".strip()


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return ",".join(map(str, default)) if isinstance(default, list) else str(default)


def _place(patch: Patch, where: tuple[str, ...], value: object, given: set[tuple[str, ...]]) -> None:
    """Into the change, unless what stands there, in it or around it was given too."""
    if any(where[: len(each)] == each or each[: len(where)] == where for each in given if not _tags(where, each)):
        raise click.UsageError(f"{'.'.join(where)} is given twice")
    given.add(where)
    for key in where[:-1]:
        patch = patch.setdefault(key, {})
    last = where[-1]
    patch[last] = {**patch[last], **value} if isinstance(value, dict) and last in patch else value


def _tags(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """`--tag a=b` beside `--unset tags.c`: they are different tags, or the later one counts."""
    return one[0] == other[0] == "tags" and len(one) + len(other) > 2


def tags_of(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` each.  Raises click.UsageError."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--tag {pair}: a tag is written key=value")
        found[key] = value
    return found


def _server_keys() -> list[str]:
    """What is written behind the address and port."""
    return [key for key in blocks_at(ServerGroupBlock, "servers") if key not in ("address", "port")]


def _servers(texts: Iterable[str]) -> list[Patch]:
    return [server_of(text) for text in texts]


def _list(texts: Iterable[str]) -> list[str]:
    return [each.strip() for text in texts for each in text.split(",") if each.strip()]


def _ports(text: str) -> list[int]:
    found = _PORTS.fullmatch(text)
    if found is None:
        raise click.UsageError(f"--port-range {text}: it is written first-last, as in 20000-20099")
    return [int(found[1]), int(found[2])]


def _where(text: str) -> tuple[str, ...]:
    """`health_check.interval` as keys; what follows `tags.` is one key, whatever it has of dots."""
    first, dot, rest = text.partition(".")
    keys = (first, rest) if first == "tags" and dot else tuple(text.split("."))
    if not all(keys) or "[" in text:
        raise click.BadParameter(f"{text!r} is no key; one is written as in the file, such as health_check.interval")
    return keys


def _yaml_value(text: str, what: str) -> object:
    try:
        return parse(text.encode("utf-8", "replace")).data
    except ConfigError as error:
        raise click.UsageError(f"{what}: {error.problems[0].message}") from None


def _read_set(_context: click.Context, _option: click.Parameter, typed: tuple[str, ...]) -> list[Any]:
    found = []
    for text in typed:
        path, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r}: it is written PATH=VALUE, such as idle_timeout=60")
        found.append((_where(path), _yaml_value(value, f"--set {path}")))
    return found


def _read_unset(_context: click.Context, _option: click.Parameter, typed: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [_where(text) for text in typed]


_SET = click.option(
    "--set", "set_", multiple=True, metavar="PATH=VALUE", callback=_read_set, help="Any key; VALUE is YAML."
)
_UNSET = click.option(
    "--unset", multiple=True, metavar="PATH", callback=_read_unset, help="Any key: back to its default."
)
