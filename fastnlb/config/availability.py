"""What fastnlb.yaml can say and this version cannot do yet, as one table; a later version deletes rows.

A setting that is not available is refused rather than ignored, so that nobody believes it is active.  Its default
is always accepted, because it says nothing.  The table is applied to data whose types and ranges are known to be
right; where they are not, that is reported and the setting is left alone here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastnlb import __version__
from fastnlb.config.errors import Report, Where

_EACH = "*"
_VERSION = ".".join(__version__.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: where it stands, how a message calls it, and whether a value asks for what is not there.

    `what` is followed by `is not available ...`; `instead` says what to write.
    """

    path: tuple[str, ...]
    what: str
    asked: Callable[[object], bool]
    instead: str = "leave it out"


def _other_than(*accepted: object) -> Callable[[object], bool]:
    return lambda value: value not in accepted


TABLE: tuple[Row, ...] = (
    Row(
        ("server_groups", _EACH, "protocol"),
        "a server group for UDP (protocol)",
        _other_than("TCP", "TCP_UDP"),
        "set it to TCP",
    ),
    Row(("listeners", _EACH, "protocol"), "the protocol UDP", _other_than("TCPSSL", "TCP"), "use TCPSSL or TCP"),
)


def check_availability(data: object, report: Report) -> None:
    """Report every setting in `data` that this version does not have."""
    for row in TABLE:
        message = f"{row.what} is not available in this version of fastnlb ({_VERSION}): {row.instead}"
        for where, value in _found(data, row.path):
            if row.asked(value) and not report.spoiled(where):
                report.error(where, message)


def _found(data: object, path: tuple[str, ...], where: Where = ()) -> Iterator[tuple[Where, object]]:
    """Every place in `data` that `path` names, `*` standing for each item of a list."""
    if not path:
        yield where, data
    elif path[0] == _EACH and isinstance(data, list):
        for index, item in enumerate(data):
            yield from _found(item, path[1:], (*where, index))
    elif isinstance(data, Mapping) and path[0] in data:
        yield from _found(data[path[0]], path[1:], (*where, path[0]))
