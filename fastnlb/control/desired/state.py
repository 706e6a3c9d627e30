"""Resources as they are shown: their keys with the defaults, and under `state` what is true of them at this moment.

Private keys are in none of it, and neither are the paths of files: certificates are shown as PEM.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from fastnlb.board import Health, Reason
from fastnlb.control.desired.kinds import (
    CA_CERTIFICATES,
    CERTIFICATES,
    LISTENERS,
    SECURITY_POLICIES,
    SERVER_GROUPS,
    Item,
    Kind,
    Users,
    listed,
)
from fastnlb.control.store.material import apart
from fastnlb.control.store.values import Document
from fastnlb.model import Offer, SecurityPolicy, Server, ServerGroup
from fastnlb.tls.describe import Description, describe
from fastnlb.tls.policies import SYSTEM

DAY = 86_400


class Board(Protocol):
    """What is read of the shared board."""

    def health(self, cell: int) -> tuple[Health, Reason]: ...

    def server_connections(self, cell: int) -> int: ...

    def listener_connections(self, cell: int) -> int: ...


ReadMaterial = Callable[[Kind, str, Item], bytes | None]
"""The PEM text that a key of a block names; None when there is none to be had."""


def etag_of(item: Item) -> str:
    """Changes when the resource does, and not when what is true of it does."""
    text = json.dumps(item, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Views:
    """All resources of one document, served by one Offer."""

    def __init__(
        self,
        document: Document,
        offer: Offer,
        board: Board,
        read_material: ReadMaterial,
        counters: Callable[[], Mapping[str, Mapping[str, int]]] = dict,
    ) -> None:
        self.document = document
        self._offer = offer
        self._board = board
        self._read = read_material
        self._counters = counters
        self._users = Users(document)
        self._groups = {group.name: group for group in offer.snapshot.server_groups}
        self._certificates = {each.name: each for each in offer.snapshot.certificates}
        self._states: dict[str, Callable[[Item], dict[str, Any]]] = {
            LISTENERS.key: self._listener,
            SERVER_GROUPS.key: self._group,
            CERTIFICATES.key: self._certificate,
            CA_CERTIFICATES.key: self._ca_certificate,
            SECURITY_POLICIES.key: self._policy,
        }

    def items(self, kind: Kind) -> list[dict[str, Any]]:
        """As written; the system policies are among the policies."""
        system = [_as_block(policy) for policy in SYSTEM.values()] if kind is SECURITY_POLICIES else []
        return [*system, *listed(self.document, kind)]

    def of(self, kind: Kind, item: Item) -> dict[str, Any]:
        """One item as it is shown."""
        shown = self.config(kind, item)
        return {**shown, "etag": etag_of(item), "state": self._states[kind.key](item)}

    def config(self, kind: Kind, item: Item) -> dict[str, Any]:
        """Its keys, with defaults, and PEM in place of paths."""
        shown = kind.block.model_validate(dict(item)).model_dump(mode="json")
        if kind is CERTIFICATES:
            return {"name": shown["name"], "certificate_pem": self._pem(kind, item), "tags": shown["tags"]}
        if kind is CA_CERTIFICATES:
            material = {"certificate_pem": self._pem(kind, item), "crl_pem": self._text(kind, "crl", item)}
            rest = {key: value for key, value in shown.items() if key not in ("certificate", "crl")}
            return {**rest, **material}
        return shown

    # What is true now

    def _listener(self, item: Item) -> dict[str, Any]:
        name = item["name"]
        group = self._groups.get(item["server_group"])
        states = [] if group is None else [self._health(group, server)[0] for server in group.servers]
        certificate = self._certificates.get(item.get("certificate") or "")
        return {
            "status": "Running" if item.get("enabled", True) else "Stopped",
            "connections": self._connections(name),
            "server_group": {
                "total": len(states),
                "healthy": states.count(Health.HEALTHY),
                "unhealthy": states.count(Health.UNHEALTHY),
            },
            "certificate_expires": None if certificate is None else _instant_of(certificate.not_after),
            "counters": dict(self._counters().get(name, ())),
        }

    def _connections(self, name: str) -> int:
        cell = self._offer.cells.listeners.get(name, -1)
        return 0 if cell < 0 else self._board.listener_connections(cell)

    def _group(self, item: Item) -> dict[str, Any]:
        group = self._groups.get(item["name"])
        servers = [] if group is None else [self.server(group, server) for server in group.servers]
        return {"used_by": self._users.of(SERVER_GROUPS, item["name"]), "servers": servers}

    def server(self, group: ServerGroup, server: Server) -> dict[str, Any]:
        """One server: where it is, and how it is."""
        health, reason = self._health(group, server)
        cell = self._cell(group, server)
        return {
            "address": server.address,
            "port": server.port,
            "weight": server.weight,
            "host": server.host,
            "health": health.name,
            "reason": None if reason is Reason.NONE else reason.name,
            "connections": 0 if cell < 0 else self._board.server_connections(cell),
        }

    def _cell(self, group: ServerGroup, server: Server) -> int:
        return self._offer.cells.servers.get((group.name, server.address, server.port), -1)

    def _health(self, group: ServerGroup, server: Server) -> tuple[Health, Reason]:
        cell = self._cell(group, server)
        return (Health.INITIAL, Reason.NONE) if cell < 0 else self._board.health(cell)

    def _certificate(self, item: Item) -> dict[str, Any]:
        name = item["name"]
        chain = self._described(CERTIFICATES, item)
        served = self._certificates.get(name)
        about = _about(chain[0]) if chain else {}
        stapled = served is not None and served.staple is not None
        return {**about, "stapled": stapled, "used_by": self._users.of(CERTIFICATES, name)}

    def _ca_certificate(self, item: Item) -> dict[str, Any]:
        bundle = self._described(CA_CERTIFICATES, item)
        return {
            "subjects": [each.subject for each in bundle],
            "not_after": _instant(min(each.not_after for each in bundle)) if bundle else None,
            "used_by": self._users.of(CA_CERTIFICATES, item["name"]),
        }

    def _policy(self, item: Item) -> dict[str, Any]:
        name = item["name"]
        return {"system": name in SYSTEM, "used_by": self._users.of(SECURITY_POLICIES, name)}

    def _described(self, kind: Kind, item: Item) -> tuple[Description, ...]:
        """Nothing when what it is made of cannot be read: that is no reason to say nothing else either."""
        text = self._pem(kind, item)
        return describe(text.encode()) if text else ()

    def _pem(self, kind: Kind, item: Item) -> str:
        return self._text(kind, "certificate", item) or ""

    def _text(self, kind: Kind, key: str, item: Item) -> str | None:
        data = self._read(kind, key, item)
        # Taken apart again: a file that an older version took in may have other things in it.
        return None if data is None else apart(data)[0].decode("ascii", "replace")


def _about(certificate: Description) -> dict[str, Any]:
    left = certificate.not_after.timestamp() - time.time()
    return {
        "names": list(certificate.names),
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "not_before": _instant(certificate.not_before),
        "not_after": _instant(certificate.not_after),
        "expires_in_days": int(left // DAY),
        "key_type": certificate.key_type,
        "fingerprint_sha256": certificate.fingerprint_sha256,
        "self_signed": certificate.self_signed,
    }


def _as_block(policy: SecurityPolicy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "tls_versions": list(policy.tls_versions),
        "ciphers": list(policy.ciphers),
        "groups": list(policy.groups),
    }


def _instant(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant_of(seconds: int) -> str:
    return _instant(datetime.fromtimestamp(seconds, UTC))
