"""From the host names in a Snapshot to servers, by what is known of the names.  Pure.

A named server stands for a Server with its port and weight at each address.  Of two that would be the same server
(two names with one address, or an address that is also written down) the one that was written down counts, then the
name that stands first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fastnlb.model import Host, Server, ServerGroup, Snapshot

Addresses = Mapping[str, tuple[str, ...]]
"""What each host name stands for, as in model.Host; a name that is not in it stands for nothing yet."""


def host_names(snapshot: Snapshot) -> set[str]:
    """Every host name that a group has."""
    return {each.host for group in snapshot.server_groups for each in group.named_servers}


def addresses_in(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """What the Snapshot itself knows."""
    return {host.name: host.addresses for host in snapshot.hosts}


def with_addresses(snapshot: Snapshot, addresses: Addresses) -> Snapshot:
    """`snapshot` with the servers that its names stand for, and no other named ones."""
    names = host_names(snapshot)
    if not names and not snapshot.hosts:
        return snapshot
    return replace(
        snapshot,
        server_groups=tuple(_group(group, addresses) for group in snapshot.server_groups),
        hosts=tuple(Host(name, addresses.get(name, ())) for name in sorted(names)),
    )


def without_servers(snapshot: Snapshot) -> list[str]:
    """The groups that have host names, and so far no server."""
    return [group.name for group in snapshot.server_groups if group.named_servers and not group.servers]


def no_server_yet(group: str) -> str:
    """The line about one of them."""
    return f"server group {group} has no server until a host name resolves: its clients are reset"


def _group(group: ServerGroup, addresses: Addresses) -> ServerGroup:
    servers = tuple(_servers(group, addresses))
    return group if servers == group.servers else replace(group, servers=servers)


def _servers(group: ServerGroup, addresses: Addresses) -> Iterable[Server]:
    taken = set()
    for server in group.servers:
        if not server.host:
            taken.add((server.address, server.port))
            yield server
    for named in group.named_servers:
        for address in addresses.get(named.host, ()):
            if (address, named.port) not in taken:
                taken.add((address, named.port))
                yield Server(address, named.port, named.weight, named.host)
