"""What the PROXY protocol settings of a listener are to the core: flags, TLVs made beforehand, networks."""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

from fastnlb.model import Listener, ProxyProtocol

if TYPE_CHECKING:
    from fastnlb._core.engine import ProxyFields

FLAGS = {"alpn": 1, "authority": 2, "ssl": 4, "crc32c": 8}
"""As `_core/proxyout.pxd` has them."""

_ALIBABA = 0xE1
_VPC, _ENDPOINT, _ENDPOINT_SERVICE = 1, 2, 3
_IPV4_IN_IPV6 = bytes(10) + b"\xff\xff"


def fields(listener: Listener) -> ProxyFields | None:
    """What proxylistener.pyx takes."""
    if listener.proxy_protocol is None and not listener.trusted:
        return None
    out = listener.proxy_protocol
    sent = None if out is None else (sum(FLAGS[tlv] for tlv in out.tlvs), id_tlvs(out))
    return sent, [network(each) for each in listener.trusted]


def id_tlvs(out: ProxyProtocol) -> bytes:
    """One TLV for each id: the length counts the byte that says which id it is."""
    ids = ((_VPC, out.vpc_id), (_ENDPOINT, out.ep_id), (_ENDPOINT_SERVICE, out.eps_id))
    return b"".join(struct.pack("!BHB", _ALIBABA, 1 + len(text), kind) + text.encode() for kind, text in ids if text)


def network(text: str) -> tuple[bytes, int]:
    """Sixteen bytes and how many of their bits count; IPv4 as ::ffff:a.b.c.d."""
    net = ipaddress.ip_network(text)
    if net.version == 4:
        return _IPV4_IN_IPV6 + net.network_address.packed, 96 + net.prefixlen
    return net.network_address.packed, net.prefixlen
