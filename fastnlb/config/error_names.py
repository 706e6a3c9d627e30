"""The names that the reference API (cloud NLB, OpenAPI 2022-04-30) has for what can be wrong, odd spellings included.

Scripts written for that API tell refusals apart by these names; they stand in brackets behind a message and as `code`
in JSON.  What the reference has no name of its own for has none here.
"""

from __future__ import annotations

from fastnlb.config.errors import Where

CONFLICT_PORT = "Conflict.Port"
DUPLICATED_LISTENER = "DuplicatedParam.listener"
DUPLICATED_SERVER = "DuplicatedParam.Server"
MISMATCH_PROTOCOL = "Mismatch.Protocol"
PRESERVE_CLIENT_IP = "IllegalParam.PreserveClientIpSwitch"
RANGE_NEEDS_ANY_PORT = "IllegalParam.AnyPortListenerConflictWithNonAnyPortServerGroup"
ANY_PORT_NEEDS_RANGE = "IllegalParam.NonAnyPortListenerConflictWithAnyPortServerGroup"
ANY_PORT_HEALTH_CHECK = "IllegalParam.AnyPortServerGroupConflictWithHealthCheckConfig"
SERVER_PORT = "IllegalParam.RSPortConflictWithServerGroup"
MSS_CONFLICT = "IllegalParam.MssConflictWithUdpAndGeneve"
CERTIFICATE_IN_USE = "ResourceAlreadyAssociated.Certificate"

NOT_FOUND = {
    "server_groups": "ResourceNotFound.serverGroup",
    "certificates": "ResourceNotFound.Certificate",
    "ca_certificates": "ResourceNotFound.CaCertificate",
    "security_policies": "ResourceNotFound.securitypolicy",
}
_WRONG = {
    ("listeners", "name"): "IllegalParam.ListenerDescription",
    ("listeners", "port"): "IllegalParam.Port",
    ("listeners", "port_range"): "IllegalParam.Port",
    ("listeners", "server_group"): "IllegalParam.ServerGroupId",
    ("listeners", "idle_timeout"): "IllegalParam.IdleTimeout",
    ("server_groups", "name"): "IllegalParam.ServerGroupName",
    ("server_groups", "connection_drain_timeout"): "IllegalParam.ConnectionDrainTimeout",
    ("server_groups", "health_check", "domain"): "IllegalParam.healthCheckDomain",
    ("server_groups", "health_check", "url"): "IlleagalParam.healthCheckUrl",
    ("server_groups", "servers", "address"): "IllegalParam.IP",
}
_MISSING = {
    ("listeners", "port"): "MissingParam.ListenerPort",
    ("listeners", "protocol"): "MissingParam.ListenerProtocol",
    ("listeners", "server_group"): "MissingParam.ServerGroupId",
    ("listeners", "certificate"): "MissingParam.Certificate",
    ("server_groups", "name"): "MissingParam.ServerGroupName",
    ("server_groups", "servers", "address"): "MissingParam.IP",
}


def wrong(where: Where) -> str:
    """The name for a value that is not allowed at `where`, or ""."""
    keys = _keys(where)
    return next((_WRONG[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in _WRONG), "")


def missing(where: Where) -> str:
    """The name for nothing being at `where`, or ""."""
    return _MISSING.get(_keys(where), "")


def _keys(where: Where) -> tuple[str, ...]:
    return tuple(part for part in where if isinstance(part, str))
