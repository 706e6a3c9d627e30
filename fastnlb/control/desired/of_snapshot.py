"""A Snapshot as the document that says it: for a daemon that was told everything on its command line, or whose file
says something else by now.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from fastnlb.control.store.values import Document
from fastnlb.model import HealthCheck, Listener, SecurityPolicy, ServerGroup, Snapshot
from fastnlb.tls.policies import SYSTEM

_SAME = (
    *(
        "protocol",
        "address",
        "server_group",
        "certificate",
        "additional_certificates",
        "strict_sni",
        "ca_certificate",
    ),
    *("security_policy", "alpn_policy", "alpn_strict", "idle_timeout", "handshake_timeout", "connect_timeout"),
    *("cps", "max_connections", "mss", "enabled"),
)
"""What a listener has by the same name in both; lists are tuples in the model."""


def document_of(snapshot: Snapshot) -> Document:
    """Without what has its default.  Certificates have a name only: there is no file."""
    return {
        "certificates": [{"name": each.name, "certificate": each.name} for each in snapshot.certificates],
        "ca_certificates": [{"name": each.name, "certificate": each.name} for each in snapshot.ca_certificates],
        "security_policies": [_policy(policy) for policy in snapshot.security_policies if policy.name not in SYSTEM],
        "server_groups": [_group(group) for group in snapshot.server_groups],
        "listeners": [_listener(listener) for listener in snapshot.listeners],
    }


def _policy(policy: SecurityPolicy) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(policy).items()}


def _listener(listener: Listener) -> dict[str, Any]:
    defaults = {field.name: field.default for field in fields(Listener)}
    block: dict[str, Any] = {"name": listener.name}
    for key in _SAME:
        value = getattr(listener, key)
        if value != defaults[key]:
            block[key] = list(value) if isinstance(value, tuple) else value
    if listener.last_port:
        block["port_range"] = [listener.port, listener.last_port]
    else:
        block["port"] = listener.port
    if listener.proxy_protocol is not None:
        block["proxy_protocol"] = {**asdict(listener.proxy_protocol), "tlvs": list(listener.proxy_protocol.tlvs)}
    if listener.trusted:
        block["accept_proxy_protocol"] = {"trusted": list(listener.trusted)}
    return {**block, **({"tags": dict(listener.tags)} if listener.tags else {})}


def _group(group: ServerGroup) -> dict[str, Any]:
    written = [each for each in group.servers if not each.host]
    return {
        "name": group.name,
        "scheduler": group.scheduler,
        "any_port": group.any_port,
        "preserve_client_ip": group.preserve_client_ip,
        "connection_drain_timeout": group.connection_drain_timeout,
        "health_check": _health_check(group.health_check),
        "servers": [
            *({"address": each.address, "port": each.port, "weight": each.weight} for each in written),
            *({"address": each.host, "port": each.port, "weight": each.weight} for each in group.named_servers),
        ],
    }


def _health_check(check: HealthCheck | None) -> dict[str, Any]:
    if check is None:
        return {"enabled": False}
    return {**asdict(check), "http_codes": list(check.http_codes)}
