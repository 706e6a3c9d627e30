"""What the blocks of fastnlb.yaml ask of one another: unique names, references that resolve.

The rules run on the blocks that could be read, also when others could not, so names are looked up in the plain
data: a reference to a block with a mistake in it is no second mistake.
"""

from __future__ import annotations

from fastnlb.config import error_names
from fastnlb.config.errors import Report, Where, quote, suggest
from fastnlb.config.schema import HealthCheckBlock, ListenerBlock, ServerBlock, ServerGroupBlock
from fastnlb.config.schema_rules_loops import check_loops
from fastnlb.config.schema_rules_sockets import check_sockets
from fastnlb.config.schema_rules_tls import check_policy, check_tls
from fastnlb.config.schema_types import is_unix_socket, literal_address
from fastnlb.config.schema_validate import Parts, items
from fastnlb.model import HTTP, TCP, TCPSSL
from fastnlb.privileges import PrivilegeError, identity
from fastnlb.tls.policies import SYSTEM

_NOUNS = {
    "certificates": "certificate",
    "ca_certificates": "CA certificate",
    "security_policies": "security policy",
    "server_groups": "server group",
    "listeners": "listener",
}
_HTTP_ONLY = ("domain", "url", "http_codes", "method", "http_version")
_LISTED_NAMES = 8
_MOST_COMPARED = 200_000  # names: about a second


class _Names:
    """Every name that the data gives to a kind of block."""

    def __init__(self, by_kind: dict[str, set[str]]) -> None:
        self._by_kind = by_kind
        self._sorted: dict[str, list[str]] = {}
        self._compared = 0

    def missing(self, kind: str, name: str) -> str | None:
        """The sentence that says there is no `name`, or None if there is one."""
        if name in self._by_kind[kind]:
            return None
        if kind not in self._sorted:
            self._sorted[kind] = sorted(self._by_kind[kind])
        known = self._sorted[kind]
        return f"there is no {_NOUNS[kind]} {quote(name)}{self._nearest(name, known) or _list_names(known)}"

    def _nearest(self, name: str, known: list[str]) -> str:
        """What was meant, until that has taken too long: ten thousand slips would take minutes."""
        if self._compared > _MOST_COMPARED:
            return ""
        self._compared += len(known)
        return suggest(name, known)


def check_rules(data: object, parts: Parts, report: Report) -> None:
    """Report every rule that the blocks break."""
    _check_user(data, report)
    by_kind = {kind: _unique_names(data, kind, report) for kind in _NOUNS}
    by_kind["security_policies"].update(SYSTEM)
    names = _Names(by_kind)
    for index, policy in parts.security_policies.items():
        check_policy(policy, ("security_policies", index), report)
    for index, group in parts.server_groups.items():
        _check_group(group, ("server_groups", index), report)
    groups = {group.name: group for group in parts.server_groups.values()}
    for index, listener in parts.listeners.items():
        where: Where = ("listeners", index)
        _check_references(listener, where, names, report)
        check_tls(listener, where, report)
        _check_port(listener, where, report)
        if listener.server_group in groups:
            _check_pairing(listener, groups[listener.server_group], where, report)
            _warn_of_probes(listener, groups[listener.server_group], where, report)
    check_sockets(parts.listeners, report)
    check_loops(parts.listeners, groups, report)


def _check_user(data: object, report: Report) -> None:
    name = data.get("user") if isinstance(data, dict) else None
    if not isinstance(name, str) or report.spoiled(("user",)):
        return
    try:
        identity(name)
    except PrivilegeError:
        report.error(("user",), f"there is no user {quote(name)} on this machine")


def _list_names(known: list[str]) -> str:
    if not known:
        return "; none is defined"
    more = ", ..." if len(known) > _LISTED_NAMES else ""
    return f"; there are {', '.join(known[:_LISTED_NAMES])}{more}"


def _unique_names(data: object, kind: str, report: Report) -> set[str]:
    first: dict[str, Where] = {}
    for index, item in items(data, kind):
        name, where = item.get("name"), (kind, index, "name")
        if not isinstance(name, str):
            continue
        if name in first:
            report.error(where, f"a {_NOUNS[kind]} {quote(name)} exists already{report.line_note(first[name])}")
        elif kind == "security_policies" and name in SYSTEM:
            report.error(where, f"{name} is a system security policy: choose another name")
        first.setdefault(name, where)
    return set(first)


def _check_group(group: ServerGroupBlock, where: Where, report: Report) -> None:
    _check_health_check(group.health_check, (*where, "health_check"), report)
    _check_any_port(group, where, report)
    _check_connect_port(group, (*where, "health_check", "connect_port"), report)
    first: dict[tuple[str, int | None], Where] = {}
    for index, server in enumerate(group.servers):
        place = (*where, "servers", index)
        _check_server_port(server, group, place, report)
        address = literal_address(server.address)
        spelled = server.address if is_unix_socket(server.address) else server.address.lower()
        key = (spelled if address is None else str(address), server.port or 0)
        if key in first:
            message = f"this server is in the group already{report.line_note(first[key])}"
            report.error(place, message, code=error_names.DUPLICATED_SERVER)
        first.setdefault(key, place)


def _check_health_check(block: HealthCheckBlock, where: Where, report: Report) -> None:
    """What only an HTTP check looks at, somebody believes to be looked at."""
    if block.type == HTTP or not block.enabled or report.spoiled((*where, "type")):
        return
    for key in _HTTP_ONLY:
        if getattr(block, key) != HealthCheckBlock.model_fields[key].default:
            report.error(
                (*where, key), f"{key} is for HTTP: write type: HTTP beside it, or leave it out", at_key=True
            )


def _check_any_port(group: ServerGroupBlock, where: Where, report: Report) -> None:
    """Its servers have no port of their own that could be probed."""
    check, place = group.health_check, (*where, "health_check")
    if not group.any_port or not check.enabled or check.connect_port or report.spoiled((*place, "connect_port")):
        return
    message = "servers of an any_port group are checked on one port: write connect_port: 8080, or enabled: false"
    report.error(place, message, code=error_names.ANY_PORT_HEALTH_CHECK)


def _check_server_port(server: ServerBlock, group: ServerGroupBlock, where: Where, report: Report) -> None:
    if is_unix_socket(server.address):
        _check_unix_socket(server, group, where, report)
        return
    if server.port and group.any_port:
        message = "a server of an any_port group is connected to on the client's port: leave port out"
        report.error((*where, "port"), message, code=error_names.SERVER_PORT)
    if server.port or group.any_port:
        return
    if server.port is None:
        message = 'missing key "port": the port of the server, 1 to 65535'
        report.lacking(where, message, code=error_names.SERVER_PORT)
    else:
        message = "0 is out of range: port takes 1 to 65535"
        report.error((*where, "port"), message, code=error_names.SERVER_PORT)


def _check_unix_socket(server: ServerBlock, group: ServerGroupBlock, where: Where, report: Report) -> None:
    """It has neither a port nor an address that somebody else's could stand in for."""
    if server.port is not None:
        report.error((*where, "port"), "a unix socket has no port: leave it out", code=error_names.SERVER_PORT)
    if group.any_port:
        message = "a server of an any_port group is reached at the client's port, and a unix socket has none"
        report.error((*where, "address"), message, code=error_names.SERVER_PORT)
    if group.preserve_client_ip:
        message = "preserve_client_ip needs a server that is reached by IP, and a unix socket is not"
        report.error((*where, "address"), message, code=error_names.PRESERVE_CLIENT_IP)


def _check_connect_port(group: ServerGroupBlock, where: Where, report: Report) -> None:
    """Unix sockets are probed where they are; beside other servers the port is for those."""
    if not group.health_check.enabled or not group.health_check.connect_port or not group.servers:
        return
    if all(is_unix_socket(server.address) for server in group.servers):
        report.error(where, "every server of this group is a unix socket, which has no port: leave it out")


def _check_references(listener: ListenerBlock, where: Where, names: _Names, report: Report) -> None:
    references: list[tuple[str, Where, str | None]] = [
        ("server_groups", ("server_group",), listener.server_group),
        ("certificates", ("certificate",), listener.certificate),
        ("ca_certificates", ("ca_certificate",), listener.ca_certificate),
        ("security_policies", ("security_policy",), listener.security_policy),
    ]
    for index, name in enumerate(listener.additional_certificates):
        references.append(("certificates", ("additional_certificates", index), name))
    for kind, key, reference in references:
        message = names.missing(kind, reference) if reference is not None else None
        if message:
            report.error((*where, *key), message, code=error_names.NOT_FOUND[kind])


def _check_port(listener: ListenerBlock, where: Where, report: Report) -> None:
    given = [value for value in (listener.port, listener.port_range) if value is not None]
    if len(given) == 2:
        message = "a listener takes port or port_range, not both"
        report.error((*where, "port_range"), message, at_key=True, code=error_names.wrong((*where, "port")))
    elif not given and not _spoiled(where, ("port", "port_range"), report):
        message = 'missing key "port": the port to listen on, 1 to 65535'
        report.lacking(where, message, code=error_names.missing((*where, "port")))


def _spoiled(where: Where, keys: tuple[str, ...], report: Report) -> bool:
    """Whether one of these keys was given, but wrongly: it is missing from the block and not from the file."""
    return any(report.spoiled((*where, key)) for key in keys)


def _check_pairing(listener: ListenerBlock, group: ServerGroupBlock, where: Where, report: Report) -> None:
    """What a listener and its server group ask of each other."""
    name, kind = quote(group.name), listener.protocol
    refusals = (
        (
            kind == TCPSSL and group.preserve_client_ip,
            f"a TCPSSL listener takes a server group without preserve_client_ip, which {name} has on",
            error_names.PRESERVE_CLIENT_IP,
        ),
        (
            kind == TCP and group.preserve_client_ip and not _same_family(listener, group),
            f"preserve_client_ip needs servers of the clients' own IP version, and {name} has none for this listener",
            error_names.PRESERVE_CLIENT_IP,
        ),
        (
            kind == TCPSSL and group.protocol != TCP,
            f"a TCPSSL listener takes a TCP server group, and {name} is {group.protocol}",
            error_names.MISMATCH_PROTOCOL,
        ),
        (
            kind == TCP and group.protocol == "UDP",
            f"a TCP listener takes a TCP or TCP_UDP server group, and {name} is UDP",
            error_names.MISMATCH_PROTOCOL,
        ),
        (
            kind == "UDP" and group.protocol == TCP,
            f"a UDP listener takes a UDP or TCP_UDP server group, and {name} is TCP",
            error_names.MISMATCH_PROTOCOL,
        ),
        (
            listener.port_range is not None and not group.any_port,
            f"a port_range listener takes a server group with any_port, which {name} has off",
            error_names.RANGE_NEEDS_ANY_PORT,
        ),
        (
            listener.port is not None and group.any_port,
            f"a listener on one port takes a server group without any_port, which {name} has on",
            error_names.ANY_PORT_NEEDS_RANGE,
        ),
    )
    for wrong, message, code in refusals:
        if wrong:
            report.error((*where, "server_group"), message, code=code)


def _warn_of_probes(listener: ListenerBlock, group: ServerGroupBlock, where: Where, report: Report) -> None:
    """Servers that demand a header answer no request without one."""
    check = group.health_check
    is_told = check.proxy_protocol or check.connect_port or not check.enabled
    if listener.enabled and listener.proxy_protocol and check.type == HTTP and not is_told:
        name = quote(group.name)
        message = f"servers of {name} are sent a PROXY protocol header, and their health check sends none"
        report.warning((*where, "proxy_protocol"), f"{message}: hardly meant without proxy_protocol: true there")


def _same_family(listener: ListenerBlock, group: ServerGroupBlock) -> bool:
    """Whether a client can have a server: no connection is from IPv4 to IPv6.  A PROXY header may say either."""
    here = literal_address(listener.address)
    servers = [literal_address(server.address) for server in group.servers]
    if here is None or not servers or listener.accept_proxy_protocol is not None:
        return True
    return any(server is None or server.version == here.version for server in servers)
