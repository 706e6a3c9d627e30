"""Sockets that can bind: no two listeners on the same port of an address, ranges of ports included.

A range is one listener for all its ports, so it collides with each single one in it.  A listener that is stopped
counts: it could not be started otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fastnlb.config import error_names
from fastnlb.config.errors import Report, Where, quote
from fastnlb.config.schema import ListenerBlock
from fastnlb.config.schema_types import Address, literal_address
from fastnlb.model import TCP, TCPSSL


@dataclass(frozen=True, slots=True)
class _Claim:
    """The ports of an address that a listener asks for."""

    address: Address
    first: int
    last: int
    name: str
    where: Where

    def __str__(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"[{self.address}]:{ports}" if self.address.version == 6 else f"{self.address}:{ports}"

    def collides(self, other: _Claim) -> bool:
        """The address of all interfaces collides with each single one."""
        same = self.address == other.address or self.address.is_unspecified or other.address.is_unspecified
        return same and self.first <= other.last and other.first <= self.last


@dataclass(slots=True)
class _Taken:
    """What listeners have taken of one family and kind; single ports by port and address: there may be thousands."""

    singles: dict[int, dict[Address, _Claim]] = field(default_factory=dict)
    ranges: list[_Claim] = field(default_factory=list)

    def holder(self, claim: _Claim) -> _Claim | None:
        return next((held for held in self._near(claim) if held.collides(claim)), None)

    def take(self, claim: _Claim) -> None:
        if claim.first == claim.last:
            self.singles.setdefault(claim.first, {}).setdefault(claim.address, claim)
        else:
            self.ranges.append(claim)

    def _near(self, claim: _Claim) -> Iterator[_Claim]:
        yield from self.ranges
        if claim.first != claim.last:
            yield from (each for held in self.singles.values() for each in held.values())
            return
        held = self.singles.get(claim.first, {})
        if claim.address.is_unspecified:
            yield from held.values()
            return
        for address in (claim.address, type(claim.address)(0)):
            if address in held:
                yield held[address]


def check_sockets(listeners: dict[int, ListenerBlock], report: Report) -> None:
    """Report listeners that take what another one has, and ranges where there is one already."""
    taken: dict[tuple[int, bool], _Taken] = {}
    for index, listener in listeners.items():
        claim = _claim(listener, index)
        if claim is None:
            continue
        here = taken.setdefault((claim.address.version, listener.protocol == "UDP"), _Taken())
        holder = here.holder(claim)
        if holder is not None:
            report.error(claim.where, _collision(claim, holder, report), code=error_names.CONFLICT_PORT)
        here.take(claim)
    _check_ranges(listeners, report)


def _claim(listener: ListenerBlock, index: int) -> _Claim | None:
    """None where what it asks for could not be read."""
    address = literal_address(listener.address)
    if address is None:
        return None
    if listener.port is not None:
        return _Claim(address, listener.port, listener.port, listener.name, ("listeners", index, "port"))
    if listener.port_range is None:
        return None
    first, last = listener.port_range
    return _Claim(address, first, last, listener.name, ("listeners", index, "port_range"))


def _collision(claim: _Claim, holder: _Claim, report: Report) -> str:
    on = "" if str(holder) == str(claim) else f", which listens on {holder}"
    return f"{claim} is taken by the listener {quote(holder.name)}{report.line_note(holder.where)}{on}"


def _check_ranges(listeners: dict[int, ListenerBlock], report: Report) -> None:
    """One range of ports for the TCP family, as in the cloud."""
    ranges = [
        (("listeners", index, "port_range"), quote(listener.name))
        for index, listener in listeners.items()
        if listener.port_range is not None and listener.protocol in (TCPSSL, TCP)
    ]
    for where, _ in ranges[1:]:
        first, name = ranges[0]
        message = f"one listener may have a port_range, and {name}{report.line_note(first)} has it already"
        report.error(where, message, code=error_names.DUPLICATED_LISTENER)
