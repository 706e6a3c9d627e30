"""Resources for people: a row of a list, and a page of one with all its keys.

What an older or newer daemon does not tell is shown as -.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fastnlb.cli.kinds import CA_CERTIFICATE, CERTIFICATE, LISTENER, SECURITY_POLICY, SERVER_GROUP, Kind
from fastnlb.cli.printing import Row, cell, say, show_table
from fastnlb.model import DEFAULT_SECURITY_POLICY, place

Resource = Mapping[str, Any]

SERVER_HEAD = ("SERVER", "WEIGHT", "HEALTH", "REASON", "CONNECTIONS")
_UNREADABLE = ("certificate_pem", "crl_pem")  # for --output


def show_list(kind: Kind, items: Sequence[Resource]) -> None:
    """The table of some resources; tags are a column where there are any."""
    head, row = _LISTS[kind]
    tagged = any(each.get("tags") for each in items)
    show_table(
        (*head, "TAGS") if tagged else head,
        [(*row(each), _tags(each)) if tagged else row(each) for each in items],
    )


def show_page(kind: Kind, resource: Resource) -> None:
    """Every key of one resource, then how it is at this moment."""
    state = resource.get("state") or {}
    keys = {key: held for key, held in resource.items() if key not in ("state", *_UNREADABLE)}
    told = {key: held for key, held in state.items() if key != "servers"}
    if kind == SERVER_GROUP and "servers" in state:
        del keys["servers"]
    lines = [*_flat(keys, ""), *_flat(told, "")]
    wide = max((len(key) for key, _ in lines), default=0)
    for key, text in lines:
        say(f"{key.ljust(wide)}  {text}")
    if kind == SERVER_GROUP and "servers" in state:
        say("")
        show_table(SERVER_HEAD, map(server_row, state["servers"]))


def server_row(server: Resource) -> Row:
    """A server with its health, as SERVER_HEAD has it."""
    health = server.get("health")
    return (
        server_place(server),
        server.get("weight"),
        health.lower() if health else None,
        server.get("reason"),
        server.get("connections"),
    )


def server_place(server: Resource) -> str:
    """`10.0.0.1:80`, and the host name it was found by."""
    host = server.get("host")
    return place(server["address"], server.get("port") or 0) + (f" ({host})" if host else "")


def listener_place(listener: Resource) -> str:
    """`0.0.0.0:443`, or a range of ports."""
    first, last = listener.get("port_range") or (listener.get("port") or 0, 0)
    return place(str(listener.get("address", "")), first, last)


def _listener(item: Resource) -> Row:
    state = item.get("state") or {}
    group = state.get("server_group") or {}
    healthy = f"{group.get('healthy')}/{group.get('total')}" if group else None
    return (
        item["name"],
        item.get("protocol"),
        listener_place(item),
        str(state.get("status") or "").lower(),
        item.get("server_group"),
        healthy,
        item.get("certificate"),
        _day(state.get("certificate_expires")),
        state.get("connections"),
    )


def _group(item: Resource) -> Row:
    state = item.get("state") or {}
    servers = (state.get("servers") if "servers" in state else item.get("servers")) or []
    healthy = sum(each.get("health") == "HEALTHY" for each in servers) if "servers" in state else None
    connections = [each.get("connections") for each in servers]
    known = [each for each in connections if isinstance(each, int)]
    return (
        item["name"],
        item.get("protocol"),
        item.get("scheduler"),
        len(servers),
        healthy,
        sum(known) if known else None,
        _words(state.get("used_by")),
    )


def _certificate(item: Resource) -> Row:
    state = item.get("state") or {}
    left = state.get("expires_in_days")
    expires = _day(state.get("not_after"))
    if expires is not None and left is not None:
        expires += f" ({left} d)"
    names, self_signed = _words(state.get("names")), " (self-signed)" if state.get("self_signed") else ""
    return item["name"], names, (state.get("key_type") or "-") + self_signed, expires, _words(state.get("used_by"))


def _authority(item: Resource) -> Row:
    state = item.get("state") or {}
    crl = "yes" if item.get("crl_pem") else "no"
    subjects, used_by = "; ".join(state.get("subjects") or []), _words(state.get("used_by"))
    return item["name"], subjects, crl, item.get("verify_depth"), _day(state.get("not_after")), used_by


def _policy(item: Resource) -> Row:
    state = item.get("state") or {}
    versions, groups = _words(item.get("tls_versions")), _words(item.get("groups")) or "default"
    origin = "system" if state.get("system") else "own"
    if item["name"] == DEFAULT_SECURITY_POLICY:
        origin = "system, the default"
    return item["name"], versions, len(item.get("ciphers") or []), groups, origin, _words(state.get("used_by"))


_LISTS: dict[Kind, tuple[tuple[str, ...], Callable[[Resource], Row]]] = {
    LISTENER: (
        (
            *("NAME", "PROTOCOL", "ADDRESS", "STATE", "SERVER GROUP", "HEALTHY"),
            *("CERTIFICATE", "EXPIRES", "CONNECTIONS"),
        ),
        _listener,
    ),
    SERVER_GROUP: (("NAME", "PROTOCOL", "SCHEDULER", "SERVERS", "HEALTHY", "CONNECTIONS", "USED BY"), _group),
    CERTIFICATE: (("NAME", "NAMES", "KEY", "EXPIRES", "USED BY"), _certificate),
    CA_CERTIFICATE: (("NAME", "SUBJECTS", "CRL", "DEPTH", "EXPIRES", "USED BY"), _authority),
    SECURITY_POLICY: (("NAME", "TLS VERSIONS", "CIPHERS", "GROUPS", "ORIGIN", "USED BY"), _policy),
}


def _flat(value: object, key: str) -> Iterator[tuple[str, str]]:
    """`health_check.interval  5`: blocks by their paths, lists in a line."""
    if isinstance(value, Mapping) and value:
        for each, held in value.items():
            yield from _flat(held, f"{key}.{each}" if key else str(each))
    elif isinstance(value, list):
        yield key, " ".join(_item(each) for each in value) or "-"
    else:
        yield key, "-" if value == {} else cell(value)


def _item(value: object) -> str:
    if isinstance(value, Mapping) and "address" in value:
        return server_place(value) + (f",weight={value['weight']}" if "weight" in value else "")
    return str(value)


def _day(instant: object) -> str | None:
    """The date of `2027-01-01T00:00:00Z`."""
    return str(instant)[:10] if instant else None


def _words(items: object) -> str:
    return " ".join(map(str, items)) if isinstance(items, list | tuple) else ""


def _tags(item: Resource) -> str:
    return ",".join(f"{key}={value}" for key, value in (item.get("tags") or {}).items())
