"""`fastnlb ca-certificate`: authorities of clients, in a running daemon."""

from __future__ import annotations

from fastnlb.cli.kinds import CA_CERTIFICATE
from fastnlb.cli.resource_commands import ResourceGroup

ca_certificate = ResourceGroup(
    CA_CERTIFICATE, "ca-certificate", "CA certificates of a running daemon: whom client certificates come from.", {}
)
