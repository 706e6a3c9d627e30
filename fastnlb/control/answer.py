"""What came of looking up a host name: the vocabulary between those who ask and those who are asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

FAILED_TTL = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, and for how many seconds they may be believed.

    None for a kind of address says that nobody answered for it; `reason` then says why, as it does when there is no
    address at all.
    """

    ipv4: tuple[str, ...] | None
    ipv6: tuple[str, ...] | None
    ttl: int
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether there is an address in it."""
        return bool(self.ipv4 or self.ipv6)

    def over(self, old: tuple[str, ...]) -> tuple[str, ...]:
        """The addresses from now on: a kind that nobody answered for is as it was."""
        ipv4 = tuple(each for each in old if ":" not in each) if self.ipv4 is None else self.ipv4
        ipv6 = tuple(each for each in old if ":" in each) if self.ipv6 is None else self.ipv6
        return (*ipv4, *ipv6)


def found(addresses: tuple[str, ...], ttl: int) -> Answer:
    """All addresses there are."""
    ipv4, ipv6 = (tuple(each for each in addresses if (":" in each) is kind) for kind in (False, True))
    return Answer(ipv4, ipv6, ttl)


def failed(reason: str) -> Answer:
    return Answer(None, None, FAILED_TTL, reason)


def usable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Each address once, in order, without those that no server can have: 0.0.0.0 is how a name is blocked."""
    read = {ipaddress.ip_address(each) for each in addresses}
    kept = (each for each in read if not each.is_unspecified and not each.is_multicast)
    return tuple(map(str, sorted(kept, key=lambda each: each.packed)))
