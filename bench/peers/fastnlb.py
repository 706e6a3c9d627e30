"""fastnlb from this tree, by a file as a user would write it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import yaml

import fastnlb
from bench import certificates
from bench.peers.base import IDLE, Peer, Wish


def _prepare(wish: Wish) -> list[str]:
    path = wish.write("fastnlb.yaml", yaml.safe_dump(_document(wish)))
    return [sys.executable, "-m", "fastnlb", "run", "-c", str(path)]


def _document(wish: Wish) -> dict[str, Any]:
    servers = [{"address": "127.0.0.1", "port": wish.origin}]
    document: dict[str, Any] = {
        "version": 1,
        "workers": wish.setup.workers,
        "server_groups": [{"name": "g", "health_check": {"enabled": False}, "servers": servers}],
        "listeners": [_listener(wish)],
    }
    if wish.setup.tls:
        pairs = _pairs(wish)
        document["certificates"] = [
            {"name": f"c{number}", "certificate": str(certificate), "private_key": str(key)}
            for number, (certificate, key) in enumerate(pairs)
        ]
    if wish.setup.client_certificates:
        ca = pairs[0][1].with_name("ca.pem")
        document["ca_certificates"] = [{"name": "ca", "certificate": str(ca)}]
    return document


def _listener(wish: Wish) -> dict[str, Any]:
    setup = wish.setup
    listener: dict[str, Any] = {
        "name": "l",
        "protocol": "TCPSSL" if setup.tls else "TCP",
        "address": "127.0.0.1",
        "port": wish.port,
        "server_group": "g",
        "idle_timeout": IDLE,
    }
    if setup.tls:
        listener["certificate"] = "c0"
    if setup.certificates > 1:
        listener["additional_certificates"] = [f"c{number}" for number in range(1, setup.certificates)]
    if setup.alpn:
        listener["alpn_policy"] = "HTTP2Preferred"
    if setup.client_certificates:
        listener["ca_certificate"] = "ca"
    return listener


def _pairs(wish: Wish) -> list[tuple[Path, Path]]:
    """Files of certificates and keys."""
    if not wish.setup.ours_alone:
        return [(wish.both, wish.both)]
    files = certificates.crowd(wish.folder, wish.setup.certificates)
    return [(path, path.with_name("key.pem")) for path in files]


# 10,000 certificates are read, and each is checked.
FASTNLB = Peer(
    "fastnlb",
    lambda: sys.executable,
    lambda program: fastnlb.__version__,
    _prepare,
    reload_signal=signal.SIGHUP,
    end_signal=signal.SIGINT,
    start_seconds=120.0,
)
