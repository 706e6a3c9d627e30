"""A Site whose TLS listeners come from plain data, and visits to it that reach every worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.certs import Folder, Issued
from support.daemon import Daemon
from support.procs import wait_for
from support.site import Site
from support.tls_client import TlsClient

WORKERS = 3
MOST_VISITS = 300  # the kernel spreads connections by hash: that one of three is missed by all of them is no matter


class TlsSite(Site):
    """`configure` writes the file; connections are counted per worker."""

    def __init__(self, folder: Path, server: tuple[str, int]) -> None:
        super().__init__(folder, server)
        self.put = Folder(folder).put
        self.parts: dict[str, Any] = {}

    def certificate(self, name: str, issued: Issued, **more: Any) -> dict[str, Any]:
        """The files NAME.pem and NAME.key, replaced as a renewal does it, and the block that names them."""
        for suffix, text in ((".pem", issued.chain_pem), (".key", issued.key_pem)):
            self.put(name + ".new", text).replace(self.folder / (name + suffix))
        return {"name": name, "certificate": f"{name}.pem", "private_key": f"{name}.key", **more}

    def authority(self, *issuers: Issued, crl: bytes = b"") -> dict[str, Any]:
        self.put("staff.pem", *(each.pem for each in issuers))
        block = {"name": "staff", "certificate": "staff.pem"}
        if crl:
            self.put("staff.crl", crl)
            block["crl"] = "staff.crl"
        return block

    def listener(self, name: str, port: int, **more: Any) -> dict[str, Any]:
        common = {"protocol": "TCPSSL", "address": "127.0.0.1", "server_group": "g", "certificate": "c"}
        return {"name": name, "port": port, **common, **more}

    def configure(self, **parts: Any) -> None:
        """The file with these parts, and those given before."""
        self.parts = {**self.parts, **parts}
        host, port = self.server
        head = {"version": 1, "workers": WORKERS, "core_dumps": True, "shutdown_timeout": 5}
        groups = [{"name": "g", "servers": [{"address": host, "port": port}]}]
        self.file.write_text(json.dumps({**head, "server_groups": groups, **self.parts}, indent=1))

    # The numbers

    def rows(self) -> list[dict[str, int]]:
        found = Daemon.__new__(Daemon)
        found.program = self.running
        return found.rows()[:WORKERS]

    def total(self, name: str) -> int:
        return sum(row[name] for row in self.rows())

    def everywhere(self, number: str, act: Callable[[], object]) -> int:
        """Acts until `number` has grown in each worker; how often that was."""
        before = [row[number] for row in self.rows()]
        for done in range(1, MOST_VISITS):
            total = self.total(number)
            act()
            wait_for(lambda total=total: self.total(number) > total, f"{number} to grow")  # type: ignore[misc]
            if all(row[number] > old for row, old in zip(self.rows(), before, strict=True)):
                return done
        raise AssertionError(f"{number}: {before} became {[row[number] for row in self.rows()]}")

    # Visits

    def visit(self, port: int, version: str, **wishes: Any) -> TlsClient:
        """A whole one, after which the client holds what it needs to resume."""
        client = TlsClient(("127.0.0.1", port), version, **wishes)
        client.handshake()
        client.send(b"hello")
        assert client.receive_exactly(5) == b"hello"
        client.end_stream()  # a client library gives up a session whose connection was not ended in order
        client.close()
        return client

    def shown_everywhere(self, port: int, version: str = "TLSv1.3", **wishes: Any) -> set[str]:
        """The common names of the certificates that all workers show."""
        shown: set[str] = set()
        self.everywhere("handshakes", lambda: shown.add(self.visit(port, version, **wishes).shown()))
        return shown

    def resumed(self, port: int, version: str, session: TlsClient, **wishes: Any) -> tuple[int, int]:
        """How many of how many visits to all workers resumed `session`."""
        before = self.total("handshakes_resumed")
        visits = self.everywhere("handshakes", lambda: self.visit(port, version, resume=session, **wishes))
        return self.total("handshakes_resumed") - before, visits

    def assert_resumes(self, port: int, version: str, session: TlsClient, **wishes: Any) -> None:
        resumed, visits = self.resumed(port, version, session, **wishes)
        assert resumed == visits, self.running.output()

    def assert_never_resumes(self, port: int, version: str, session: TlsClient, **wishes: Any) -> None:
        resumed, _ = self.resumed(port, version, session, **wishes)
        assert resumed == 0, self.running.output()
