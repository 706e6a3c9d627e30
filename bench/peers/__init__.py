"""The proxies that are compared, ours first."""

from __future__ import annotations

from bench.peers.base import Peer, Setup, Wish
from bench.peers.envoy import ENVOY
from bench.peers.fastnlb import FASTNLB
from bench.peers.haproxy import HAPROXY
from bench.peers.hitch import HITCH
from bench.peers.nginx import NGINX

__all__ = ["PEERS", "Peer", "Setup", "Wish", "named"]

PEERS: tuple[Peer, ...] = (FASTNLB, NGINX, HAPROXY, HITCH, ENVOY)


def named(names: str) -> list[Peer]:
    """Those in a list such as "nginx,envoy", and ours whether it is named or not.  Raises ValueError."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = [peer.name for peer in PEERS]
    if strange := sorted(wanted.difference(known)):
        raise ValueError(f"--peers: no such proxy: {', '.join(strange)}; known: {', '.join(known)}")
    return [peer for peer in PEERS if peer is FASTNLB or not wanted or peer.name in wanted]
