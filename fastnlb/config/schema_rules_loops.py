"""Connections that would come back to us for ever: a listener whose server is itself, or leads back to it.

A listener may well have another one for its server.  What is found is what the file says: an address that is written
down, and this machine's own only where it is a loopback one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from fastnlb.config.errors import Report, quote
from fastnlb.config.schema import ListenerBlock, ServerBlock, ServerGroupBlock
from fastnlb.config.schema_types import literal_address
from fastnlb.model import place


def check_loops(
    listeners: Mapping[int, ListenerBlock], groups: Mapping[str, ServerGroupBlock], report: Report
) -> None:
    """Report each listener from which a connection finds its way back to it."""
    on_port: dict[int, list[int]] = defaultdict(list)
    for index, listener in listeners.items():
        for port in _ports(listener):
            on_port[port].append(index)
    ways: dict[int, dict[int, ServerBlock]] = {}
    for index, listener in listeners.items():
        group = groups.get(listener.server_group)
        ways[index] = {} if group is None else dict(_ways(listener, group, listeners, on_port))
    for index, listener in listeners.items():
        where = ("listeners", index, "server_group")
        if (first := _way_back(index, ways)) is not None and not report.spoiled(where):
            server = ways[index][first]
            named = place(server.address, server.port or 0)
            through = "it" if first == index else f"the listener {quote(listeners[first].name)}, which leads to it"
            message = f"the server {named} of {quote(listener.server_group)} is {through}"
            report.error(where, f"{message} again: a connection would come back for ever")


def _ports(listener: ListenerBlock) -> range:
    if listener.port_range is not None:
        first, last = listener.port_range
        return range(first, last + 1)
    return range(0) if listener.port is None else range(listener.port, listener.port + 1)


def _ways(
    listener: ListenerBlock,
    group: ServerGroupBlock,
    listeners: Mapping[int, ListenerBlock],
    on_port: Mapping[int, list[int]],
) -> Iterator[tuple[int, ServerBlock]]:
    """The listeners that connections to this one may be led to, each with the server that it is."""
    for server in group.servers:
        ports = _ports(listener) if group.any_port else [server.port or 0]
        there = dict.fromkeys(other for port in ports for other in on_port.get(port, ()))
        for other in there:
            if _is_at(server, listeners[other]):
                yield other, server


def _is_at(server: ServerBlock, listener: ListenerBlock) -> bool:
    there, here = literal_address(server.address), literal_address(listener.address)
    if there is None or here is None or there.version != here.version:
        return False
    return there == here or (here.is_unspecified and (there.is_loopback or there.is_unspecified))


def _way_back(start: int, ways: Mapping[int, Mapping[int, ServerBlock]]) -> int | None:
    """The first step of a way that leads back to where it began; None when there is none."""
    for first in ways[start]:
        seen, ahead = {first}, [first]
        while ahead:
            at = ahead.pop()
            if at == start:
                return first
            ahead += [each for each in ways[at] if each not in seen]
            seen.update(ways[at])
    return None
