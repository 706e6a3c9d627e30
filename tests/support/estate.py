"""`fastnlb run` with two workers and every kind of TLS listener, for outside clients to meet.

Each of these listeners is there twice, with certificates of RSA keys alone and of ECDSA keys alone: `names` (one for
default.test, one for www.example.test and one for *.example.test), `strict` (the same, strict SNI), `guarded` and
`optional` (client certificates of the authority `staff`), `http1`, `http2` (preferred) and `http2only` (strict ALPN).
Besides, one for each system security policy, with both keys.  All certificates of default.test have a staple.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fastnlb.tls.policies import SYSTEM
from support.certs import CLIENT, PEM, Issued
from support.daemon import Daemon
from support.procs import free_port, process_name

KEYS = ("RSA", "P-256")
HOST = "127.0.0.1"
NAMES = {"default": "default.test", "exact": "www.example.test", "wildcard": "*.example.test"}
FEATURES: dict[str, dict[str, Any]] = {
    "names": {},
    "strict": {"strict_sni": True},
    "guarded": {"ca_certificate": "staff"},
    "optional": {"ca_certificate": "staff", "client_certificate": "optional"},
    "http1": {"alpn_policy": "HTTP1Only"},
    "http2": {"alpn_policy": "HTTP2Preferred"},
    "http2only": {"alpn_policy": "HTTP2Only", "alpn_strict": True},
}


@dataclass
class Paper:
    """A certificate (with its chain) and its key as files."""

    certificate: Path
    key: Path


class Papers:
    """Everything that is signed: written once, and shared by whoever runs an Estate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trust = folder / "trust.pem"
        self.certificates: list[dict[str, str]] = []
        roots = [Issued.root(f"root {key}", key=key) for key in KEYS]
        self.trust.write_bytes(b"".join(root.pem for root in roots))
        for key, root in zip(KEYS, roots, strict=True):
            issuer = root.intermediate(f"issuing {key}", key=key)
            for name, host in NAMES.items():
                leaf = issuer.issue(host, common_name=f"{name} {key}", key=key)
                files = self._write(leaf, f"{name}-{key}")
                entry = {"certificate": str(files.certificate), "private_key": str(files.key)}
                if name == "default":
                    staple = folder / f"{name}-{key}.ocsp"
                    staple.write_bytes(issuer.ocsp(leaf))
                    entry["ocsp_response"] = str(staple)
                self.certificates.append({"name": f"{name}-{key}", **entry})
        self._write_clients()

    def _write(self, issued: Issued, stem: str) -> Paper:
        return Paper(*issued.write(self.folder, stem))

    def _write_clients(self) -> None:
        staff, partners = Issued.root("staff"), Issued.root("partners")
        clients = {who: staff.issue(common_name=who, usages=[CLIENT]) for who in ("alice", "revoked")}
        clients["alice with RSA"] = staff.issue(common_name="alice with RSA", usages=[CLIENT], key="RSA")
        clients["stranger"] = Issued.root("nobody").issue(common_name="stranger", usages=[CLIENT])
        self.clients = {who: self._write(each, who.replace(" ", "-")) for who, each in clients.items()}
        self.staff, self.crl = self.folder / "staff.pem", self.folder / "staff.crl"
        self.staff.write_bytes(staff.pem + partners.pem)
        self.crl.write_bytes(staff.crl(clients["revoked"]).public_bytes(PEM) + partners.crl().public_bytes(PEM))


class Estate:
    """The daemon and where its listeners are."""

    def __init__(self, papers: Papers, folder: Path, groups: dict[str, tuple[str, int]]) -> None:
        """`groups`: the first serves all listeners; for each of the others there is a listener `http2only NAME`."""
        self.papers, self.folder = papers, folder
        self.ports: dict[str, int] = {}
        first, *others = groups
        listeners = []
        for key in KEYS:
            default, *more = (f"{name}-{key}" for name in NAMES)
            for name, options in FEATURES.items():
                listeners.append(self._listener(f"{name} {key}", first, default, more, **options))
        both = [f"default-{key}" for key in KEYS]
        for policy in SYSTEM:
            listeners.append(self._listener(policy, first, both[0], both[1:], security_policy=policy))
        for group in others:
            options = FEATURES["http2only"]
            listeners.append(self._listener(f"http2only {group}", group, both[0], both[1:], **options))
        document = {
            "version": 1,
            "workers": 2,
            "core_dumps": True,  # or only root may look at its descriptors
            "shutdown_timeout": 5,
            "certificates": papers.certificates,
            "ca_certificates": [{"name": "staff", "certificate": str(papers.staff), "crl": str(papers.crl)}],
            "server_groups": [
                {"name": name, "servers": [{"address": host, "port": port}]} for name, (host, port) in groups.items()
            ],
            "listeners": listeners,
        }
        file = folder / "fastnlb.yaml"
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        self.daemon = Daemon(["run", "-c", str(file)], next(iter(self.ports.values())), folder / "output")

    def _listener(self, name: str, group: str, default: str, more: Sequence[str], **options: Any) -> dict[str, Any]:
        self.ports[name] = next(port for port in iter(free_port, 0) if port not in self.ports.values())
        return {
            "name": name.replace(" ", "-"),
            "protocol": "TCPSSL",
            "address": HOST,
            "port": self.ports[name],
            "server_group": group,
            "certificate": default,
            "additional_certificates": list(more),
            **options,
        }

    def client(self, who: str) -> Paper:
        return self.papers.clients[who]

    @property
    def trust(self) -> Path:
        return self.papers.trust

    @property
    def workers(self) -> list[int]:
        """Their pids, without the control process; a process has its name as soon as it is what it will be."""
        return [pid for pid in self.daemon.workers if process_name(pid).startswith("fastnlb:w")]

    def resumed(self) -> list[int]:
        """How many sessions each worker has resumed."""
        return [row["handshakes_resumed"] for row in self.daemon.rows()]

    def each_resumed_since(self, before: Sequence[int]) -> bool:
        """Whether there is no worker that has resumed nothing since it was `before`."""
        return all(now > then for now, then in zip(self.resumed(), before, strict=True))


@contextmanager
def estate(papers: Papers, folder: Path, groups: dict[str, tuple[str, int]]) -> Iterator[Estate]:
    """An Estate for the length of a block."""
    made = Estate(papers, folder, groups)
    try:
        made.daemon.wait_ready()
        yield made
    finally:
        made.daemon.program.kill()
    assert "Traceback" not in made.daemon.program.output()


def ask(arguments: Sequence[str | Path], seconds: float = 30, **options: Any) -> subprocess.CompletedProcess[str]:
    """A program of somebody else's, to its end, with what it wrote."""
    words = [str(each) for each in arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False, **options)
