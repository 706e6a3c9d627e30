"""A daemon with an access log, and a listener with or without TLS."""

from __future__ import annotations

from typing import Any

from support.certs import Issued
from support.daemon import counter_rows
from support.procs import free_port
from support.site import HEAD
from support.tls_site import TlsSite

LOGGED = HEAD + "logging: {access_log: access.log}\n"
ONE = LOGGED.replace("workers: 2", "workers: 1")


def secured(site: TlsSite, **listener: Any) -> int:
    """The daemon with a TLS listener, mutual where `ca_certificate` says so, and a certificate for a.test."""
    port = free_port()
    site.root = Issued.root()  # type: ignore[attr-defined]
    leaf = site.root.issue("a.test")  # type: ignore[attr-defined]
    site.configure(
        certificates=[site.certificate("c", leaf)],
        ca_certificates=[site.authority(site.root)],  # type: ignore[attr-defined]
        listeners=[site.listener("tls", port, **listener)],
        logging={"access_log": "access.log"},
        workers=1,
    )
    site.start()
    return port


def plain(site: TlsSite, head: str = ONE, **more: Any) -> int:
    port = free_port()
    site.write(port, head=head, **more)
    site.start()
    return port


def totals(site: TlsSite) -> dict[str, int]:
    rows = counter_rows(site.running.pid)
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])
