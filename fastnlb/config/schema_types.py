"""The scalar types of fastnlb.yaml: each refuses a value with a sentence that says what the key takes.

A type is an `Annotated` alias around one of the rules made here.  Nothing is converted (the text "80" is no
number), with one exception: `Scheduler` may be written in any case, as the cloud interfaces do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, NoReturn

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from fastnlb.config import patterns
from fastnlb.config.errors import count, quote, suggest
from fastnlb.config.rule import Keywords, Rule
from fastnlb.model import UNIX

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HTTP_PATH = re.compile(r"/[A-Za-z0-9\-/.%?#&=_;~!()*\[\]@$^:',+]*")
_TAG_TEXT = re.compile(r"[\w.:/+\-@ ]*")
_TAG_VALUE = re.compile(r"[\w.:/=+\-@ ]*")
_LIMIT_TAGS = 20
_MOST_WORKERS = 1024
DNS_PORT = 53
_SUN_PATH = 107  # bytes of a unix socket's path, as sockaddr_un has room for


def refuse(message: str) -> NoReturn:
    """Raise what pydantic collects; the message goes in as a value, since a template would read its braces."""
    raise PydanticCustomError("wrong", "{message}", {"message": message})


def refuse_lack(message: str) -> NoReturn:
    """As `refuse`, where a mapping lacks something and the rest of it may be right."""
    raise PydanticCustomError("lacking", "{message}", {"message": message})


def say(value: object) -> str:
    """A value as a message names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {quote(value)}"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value)


def flag() -> Rule:
    def check(value: object, info: ValidationInfo) -> bool:
        if not isinstance(value, bool):
            refuse(f"{info.field_name} takes true or false, not {say(value)}")
        return value

    return Rule(check, "true or false", {"type": "boolean"})


def whole(low: int, high: int, unit: str = "") -> Rule:
    """A whole number from `low` to `high`, both included."""
    allowed = f"{low} to {high} {unit}".rstrip() if low < high else str(low)

    def check(value: object, info: ValidationInfo) -> int:
        return check_whole(value, low, high, f"{info.field_name} takes {allowed}")

    return Rule(check, allowed, numbers(low, high))


def numbers(low: int, high: int) -> Keywords:
    """The whole numbers from `low` to `high` for JSON Schema."""
    return {"type": "integer", "minimum": low, "maximum": high} if low < high else {"type": "integer", "const": low}


def check_whole(value: object, low: int, high: int, takes: str) -> int:
    """`value` if it is a whole number in the range; `takes` is the sentence that says what would be right."""
    if isinstance(value, bool) or not isinstance(value, int):
        hint = ", written without quotes" if isinstance(value, str) and value.isdecimal() else ""
        refuse(f"{say(value)} is not a whole number: {takes}{hint}")
    if not low <= value <= high:
        refuse(f"{value} is out of range: {takes}")
    return value


def choice(*allowed: str, later: tuple[str, ...] = (), any_case: bool = False) -> Rule:
    """One of a few words, spelled exactly so, or with `any_case` in upper or lower case, which becomes lower.

    Those of `later` pass here for `availability` to say that this version does not have them.
    """

    def check(value: object, info: ValidationInfo) -> str:
        if isinstance(value, str):
            word = value.lower() if any_case else value
            if word in allowed or word in later:
                return word
        near = suggest(value, allowed) if isinstance(value, str) else ""
        refuse(f"{info.field_name} takes {either(allowed)}, not {say(value)}{near}")

    words: Keywords = {"type": "string", "enum": list(allowed)}
    return Rule(check, either(allowed), patterns.any_case(allowed) if any_case else words)


def either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def text(takes: str, keywords: Keywords, valid: Callable[[str], bool]) -> Rule:
    """Printable text for which `valid` holds; `takes` ends the sentence `<key> takes ...`."""

    def check(value: object, info: ValidationInfo) -> str:
        if not isinstance(value, str) or _CONTROL.search(value) or not valid(value):
            hint = "; put it in quotes" if isinstance(value, bool | int | float) else ""
            refuse(f"{info.field_name} takes {takes}, not {say(value)}{hint}")
        return value

    return Rule(check, takes, keywords)


def named(limit: int) -> Rule:
    takes = f"1 to {limit} letters, digits and . _ - of which the first is a letter or digit"
    keywords = patterns.name(limit)
    checked = text(takes, keywords, lambda value: len(value) <= limit and _NAME.fullmatch(value) is not None)
    return Rule(checked.check, f"a name of up to {limit} characters", keywords)


@lru_cache(maxsize=65_536)  # it is asked for several times for each address there is
def literal_address(value: str) -> Address | None:
    """The address that `value` spells, or None.  A scope (fe80::1%eth0) is refused: it has no place in a Server."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return None if "%" in value else address


def is_listen_address(value: str) -> bool:
    """A literal address, but no ::ffff:10.0.0.1: an IPv6 socket here is for IPv6 alone and cannot bind to it."""
    address = literal_address(value)
    return address is not None and (address.version == 4 or address.ipv4_mapped is None)


def is_host_name(value: str) -> bool:
    """Whether `value` is a DNS name.  All-numeric last labels are mistyped IPv4 addresses, such as 10.0.0.256."""
    labels = value.removesuffix(".").split(".")
    return len(value) <= 253 and all(map(_HOST_LABEL.fullmatch, labels)) and not labels[-1].isdecimal()


def is_unix_socket(value: str) -> bool:
    """`unix:` and an absolute path that a socket address can hold."""
    path = value.removeprefix(UNIX)
    return value.startswith(f"{UNIX}/") and path != "/" and len(path.encode("utf-8", "replace")) <= _SUN_PATH


def is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


def split_host_port(value: str) -> tuple[str, int] | None:
    """`127.0.0.1:9901` or `[::1]:9901` as address and port, or None."""
    host, colon, port = value.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or len(port) > 5 or not 1 <= int(port) <= 65535:
        return None
    bracketed = host.startswith("[") and host.endswith("]")
    address = literal_address(host[1:-1] if bracketed else host)
    if address is None or (address.version == 6) != bracketed:
        return None
    return str(address), int(port)


def split_nameserver(value: str) -> tuple[str, int] | None:
    """`10.0.0.2`, `::1`, `127.0.0.1:8600` or `[::1]:8600` as address and port, 53 when it has none; or None."""
    address = literal_address(value)
    return split_host_port(value) if address is None else (str(address), DNS_PORT)


def _check_workers(value: object, _: ValidationInfo) -> int | str:
    if value == "auto":
        return "auto"
    return check_whole(value, 1, _MOST_WORKERS, f"workers takes auto or 1 to {_MOST_WORKERS}")


def _check_server_port(value: object, _: ValidationInfo) -> int:
    """0 passes here and is judged with the group: it is right only where the listener's port is used."""
    return check_whole(value, 0, 65535, "port takes 1 to 65535")


def _check_port_range(value: object, _: ValidationInfo) -> list[int]:
    takes = "port_range takes a list of two ports, [first, last]"
    if not isinstance(value, list) or len(value) != 2:
        refuse(f"{takes}, not {say(value)}" + (f" of {count(len(value), 'item')}" if isinstance(value, list) else ""))
    first, last = (check_whole(port, 1, 65535, f"{takes}, of 1 to 65535 each") for port in value)
    if first >= last:
        refuse(f"the last port {last} is not above the first port {first}: {takes}")
    return [first, last]


def _check_tags(value: object, _: ValidationInfo) -> dict[str, str]:
    if not isinstance(value, dict):
        refuse(f"tags takes a mapping of text to text, not {say(value)}")
    if len(value) > _LIMIT_TAGS:
        refuse(f"{len(value)} tags are too many: it takes up to {_LIMIT_TAGS}")
    for key, held in value.items():
        if not isinstance(key, str) or not 1 <= len(key) <= 64 or not _TAG_TEXT.fullmatch(key):
            refuse(f"{say(key)} is no tag key: it takes 1 to 64 letters, digits, spaces and . : / + - @ _")
        if not isinstance(held, str):
            refuse(f"the tag {quote(key)} takes text, not {say(held)}; put it in quotes")
        if len(held) > 128 or not _TAG_VALUE.fullmatch(held):
            refuse(f"the tag {quote(key)} takes up to 128 letters, digits, spaces and . : / = + - @ _")
    return value


Flag = Annotated[bool, flag()]
Name = Annotated[str, named(128)]
PolicyName = Annotated[str, named(200)]
Port = Annotated[int, whole(1, 65535)]
FilePath = Annotated[str, text("the path of a file", patterns.FILE_PATH, lambda value: value.strip() != "")]
Text = Annotated[str, text("text of 1 to 255 characters", patterns.TEXT, lambda value: 1 <= len(value) <= 255)]
ListenAddress = Annotated[
    str,
    text(
        "a literal IPv4 or IPv6 address, such as 0.0.0.0 or ::",
        patterns.any_of(patterns.IPV4, patterns.IPV6),
        is_listen_address,
    ),
]
ServerAddress = Annotated[
    str,
    text(
        f"a literal IPv4 or IPv6 address, a host name or unix:/path of up to {_SUN_PATH} bytes",
        patterns.any_of(patterns.IPV4, patterns.IPV6, patterns.HOST_NAME, patterns.unix_socket(_SUN_PATH)),
        lambda value: literal_address(value) is not None or is_host_name(value) or is_unix_socket(value),
    ),
]
HostPort = Annotated[
    str,
    text(
        "an address and a port, such as 127.0.0.1:9901 or [::1]:9901",
        patterns.HOST_PORT,
        lambda value: split_host_port(value) is not None,
    ),
]
Nameserver = Annotated[
    str,
    text(
        "an address, with or without a port, such as 10.0.0.2 or 127.0.0.1:8600",
        patterns.any_of(patterns.IPV4, patterns.IPV6, patterns.HOST_PORT),
        lambda value: split_nameserver(value) is not None,
    ),
]
Network = Annotated[str, text("a network such as 10.0.0.0/8, without host bits", patterns.NETWORK, is_network)]
HttpPath = Annotated[
    str,
    text(
        "1 to 80 characters of a URL path that begins with /",
        patterns.HTTP_PATH,
        lambda value: len(value) <= 80 and _HTTP_PATH.fullmatch(value) is not None,
    ),
]
HealthDomain = Annotated[
    str,
    text(
        "a host name of 1 to 80 characters or $SERVER_IP",
        patterns.HEALTH_DOMAIN,
        lambda value: value == "$SERVER_IP" or (len(value) <= 80 and is_host_name(value)),
    ),
]
ServerPort = Annotated[int, Rule(_check_server_port, "1 to 65535", numbers(0, 65535))]
Scheduler = Annotated[str, choice("wrr", "wlc", "rr", "sch", "tch", any_case=True)]
Workers = Annotated[
    int | str,
    Rule(
        _check_workers,
        f"auto or 1 to {_MOST_WORKERS}",
        patterns.any_of({"type": "string", "const": "auto"}, numbers(1, _MOST_WORKERS)),
    ),
]
PortRange = Annotated[
    list[int],
    Rule(
        _check_port_range,
        "two ports, [first, last]",
        {"type": "array", "items": numbers(1, 65535), "minItems": 2, "maxItems": 2},
    ),
]
Tags = Annotated[
    dict[str, str], Rule(_check_tags, f"a mapping of text to text, up to {_LIMIT_TAGS} pairs", patterns.TAGS)
]
