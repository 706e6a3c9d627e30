"""The ALPN policies: which protocols a listener speaks, in the order it prefers them (RFC 7301).

The four lists are those that the cloud products agree on.  HTTP2Optional prefers HTTP/1.x in spite of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

POLICIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "HTTP1Only": ("http/1.1", "http/1.0"),
        "HTTP2Only": ("h2",),
        "HTTP2Optional": ("http/1.1", "http/1.0", "h2"),
        "HTTP2Preferred": ("h2", "http/1.1", "http/1.0"),
    }
)


def wire_form(policy: str) -> bytes:
    """The protocols as a ClientHello has them, each after its length.  KeyError for an unknown policy."""
    return b"".join(bytes([len(name)]) + name.encode("ascii") for name in POLICIES[policy])
