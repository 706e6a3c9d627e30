"""The kinds of text in fastnlb.yaml as JSON Schema keywords; `rule` says what they may and may not refuse."""

from __future__ import annotations

from typing import Any

from fastnlb.config.rule import Keywords

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"({_OCTET}\.){{3}}{_OCTET}"
_HEXTETS = "[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
# A last label of digits alone is a mistyped IPv4 address.
_HOST_NAME = rf"({_LABEL}\.)*[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*\.?"
_PORT = ":[0-9]{1,5}"
_CONTROL = r"\x00-\x1f\x7f-\x9f"
# Everything but the ASCII characters that are not allowed: letters of any language are.
_TAG_KEY = r"^[^\x00-\x1f!-*,;-?\[-\^`{-\x7f]*$"
_TAG_VALUE = r"^[^\x00-\x1f!-*,;<>?\[-\^`{-\x7f]*$"


def matching(pattern: str, **more: Any) -> Keywords:
    """Text that matches as a whole."""
    return {"type": "string", "pattern": f"^({pattern})$" if "|" in pattern else f"^{pattern}$", **more}


def any_of(*kinds: Keywords) -> Keywords:
    return {"anyOf": [dict(kind) for kind in kinds]}


IPV4 = matching(_IPV4, format="ipv4")
IPV6 = matching(_HEXTETS, format="ipv6")
HOST_NAME = matching(_HOST_NAME, maxLength=253)
HOST_PORT = matching(rf"({_IPV4}|\[{_HEXTETS}\]){_PORT}")
NETWORK = matching(r"[0-9A-Fa-f:.]+(%[^/]+)?(/[0-9.]+)?")
HTTP_PATH = matching(r"/[A-Za-z0-9\-/.%?#&=_;~!()*\[\]@$^:',+]*", maxLength=80)
HEALTH_DOMAIN = matching(rf"\$SERVER_IP|{_HOST_NAME}", maxLength=80)
TEXT = matching(f"[^{_CONTROL}]*", minLength=1, maxLength=255)
FILE_PATH = matching(rf"[^{_CONTROL}]*[^{_CONTROL}\s][^{_CONTROL}]*", minLength=1)
TAGS: Keywords = {
    "type": "object",
    "maxProperties": 20,
    "propertyNames": {"minLength": 1, "maxLength": 64, "pattern": _TAG_KEY},
    "additionalProperties": {"type": "string", "maxLength": 128, "pattern": _TAG_VALUE},
}


def name(limit: int) -> Keywords:
    return matching("[A-Za-z0-9][A-Za-z0-9._-]*", maxLength=limit)


def unix_socket(limit: int) -> Keywords:
    """`unix:` and an absolute path of at most `limit` bytes, which are no fewer than its characters."""
    return matching(f"unix:/[^{_CONTROL}]+", maxLength=limit + len("unix:"))


def any_case(words: tuple[str, ...]) -> Keywords:
    """Some words, for editors to offer, and every spelling of them in upper and lower case."""
    spelled = "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words)
    return any_of({"type": "string", "enum": list(words)}, matching(spelled))
