"""`fastnlb certificate`: certificates of a running daemon.  Keys are sent to it, and never come back."""

from __future__ import annotations

from fastnlb.cli.kinds import CERTIFICATE
from fastnlb.cli.resource_commands import ResourceGroup

certificate = ResourceGroup(
    CERTIFICATE, "certificate", "Certificates of a running daemon: what listeners show to clients.", {}
)
