"""The kinds of resources: what they are called where, and which refers to which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastnlb.config import error_names
from fastnlb.config.schema import (
    Block,
    CaCertificateBlock,
    CertificateBlock,
    ListenerBlock,
    SecurityPolicyBlock,
    ServerGroupBlock,
)
from fastnlb.control.store.values import Document

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """`key` is its list in fastnlb.yaml, `path` its place in the API; the codes are the reference API's."""

    key: str
    path: str
    noun: str
    block: type[Block]
    not_found: str
    in_use: str = ""


LISTENERS = Kind("listeners", "listeners", "listener", ListenerBlock, "ResourceNotFound.listener")
SERVER_GROUPS = Kind(
    "server_groups",
    "server-groups",
    "server group",
    ServerGroupBlock,
    error_names.NOT_FOUND["server_groups"],
    "ResourceInUse.ServerGroup",
)
CERTIFICATES = Kind(
    "certificates",
    "certificates",
    "certificate",
    CertificateBlock,
    error_names.NOT_FOUND["certificates"],
    "ResourceInUse.Certificate",
)
CA_CERTIFICATES = Kind(
    "ca_certificates",
    "ca-certificates",
    "CA certificate",
    CaCertificateBlock,
    error_names.NOT_FOUND["ca_certificates"],
    "ResourceInUse.CaCertificate",
)
SECURITY_POLICIES = Kind(
    "security_policies",
    "security-policies",
    "security policy",
    SecurityPolicyBlock,
    error_names.NOT_FOUND["security_policies"],
    "ResourceInUse.SecurityPolicy",
)
KINDS = (LISTENERS, SERVER_GROUPS, CERTIFICATES, CA_CERTIFICATES, SECURITY_POLICIES)
BY_KEY = {kind.key: kind for kind in KINDS}


def listed(document: Document, kind: Kind) -> list[dict[str, Any]]:
    return document.get(kind.key, [])


def references(listener: Item) -> Iterator[tuple[str, str]]:
    """(key of the kind, name) of each resource that a listener refers to."""
    yield SERVER_GROUPS.key, listener["server_group"]
    for name in (listener.get("certificate"), *listener.get("additional_certificates", ())):
        if name is not None:
            yield CERTIFICATES.key, name
    if listener.get("ca_certificate") is not None:
        yield CA_CERTIFICATES.key, listener["ca_certificate"]
    if listener.get("security_policy") is not None:
        yield SECURITY_POLICIES.key, listener["security_policy"]


def same(one: Document, other: Document) -> bool:
    """Whether they say the same, one with defaults that the other has not written down; both are good ones."""
    return all(_spelt_out(one, kind) == _spelt_out(other, kind) for kind in KINDS)


def _spelt_out(document: Document, kind: Kind) -> list[Block]:
    return [kind.block.model_validate(item) for item in listed(document, kind)]


class Users:
    """Which listeners use what, of one document."""

    def __init__(self, document: Document) -> None:
        self._users: dict[tuple[str, str], list[str]] = {}
        for listener in listed(document, LISTENERS):
            for reference in set(references(listener)):
                self._users.setdefault(reference, []).append(listener["name"])

    def of(self, kind: Kind, name: str) -> list[str]:
        """Their names, in order."""
        return sorted(self._users.get((kind.key, name), ()))
