"""The kinds of resources as commands, the API and fastnlb.yaml call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from fastnlb.config.schema import Block


@dataclass(frozen=True, slots=True)
class Kind:
    """`noun` stands in messages, `path` in URLs, `key` in fastnlb.yaml; `model` is the name of its block."""

    noun: str
    nouns: str
    path: str
    key: str
    model: str

    @property
    def url(self) -> str:
        return f"/api/v1/{self.path}"

    def url_of(self, name: str) -> str:
        """Of one resource.  Any name makes a path of one segment."""
        # Clients and servers take dots away that stand alone, and no resource is called so.
        segment = quote(name, safe="")
        return f"{self.url}/{segment.replace('.', '%2E') if set(name) == {'.'} else segment}"

    def subject(self, name: str) -> str:
        """How a message calls one."""
        return f"{self.noun} {name}"

    def block(self) -> type[Block]:
        """Its keys, as fastnlb.yaml has them."""
        from fastnlb.config import schema  # noqa: PLC0415  pydantic is for those who need it

        found: type[Block] = getattr(schema, self.model)
        return found


LISTENER = Kind("listener", "listeners", "listeners", "listeners", "ListenerBlock")
SERVER_GROUP = Kind("server group", "server groups", "server-groups", "server_groups", "ServerGroupBlock")
CERTIFICATE = Kind("certificate", "certificates", "certificates", "certificates", "CertificateBlock")
CA_CERTIFICATE = Kind("CA certificate", "CA certificates", "ca-certificates", "ca_certificates", "CaCertificateBlock")
SECURITY_POLICY = Kind(
    "security policy", "security policies", "security-policies", "security_policies", "SecurityPolicyBlock"
)

KINDS = (CERTIFICATE, CA_CERTIFICATE, SECURITY_POLICY, SERVER_GROUP, LISTENER)
"""What one names comes before it."""


def kind_of(word: str) -> Kind | None:
    """By what the API or the file calls it."""
    return next((kind for kind in KINDS if word in (kind.path, kind.key)), None)


def subject_of(resource: str) -> str:
    """`listeners/https` as `listener https`."""
    word, _, name = resource.partition("/")
    kind = kind_of(word)
    return resource if kind is None or not name else kind.subject(name)
