"""What a proxy is asked to do (Setup), and what the benchmark has to know of a proxy to ask it (Peer).

Equal set-ups: so many workers, the same certificate, TLS 1.2 and 1.3, a queue of BACKLOG, no Nagle, no access log, no
health checks, room for MOST descriptors.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import certificates

BACKLOG = 4096
MOST = 12_000  # descriptors: more than any scenario needs, at two for a connection
IDLE = 900  # seconds without a byte


@dataclass(frozen=True)
class Setup:
    """The settings in which scenarios differ."""

    tls: bool = True
    key: str = "ecdsa"
    workers: int = 1
    reloads: bool = False
    certificates: int = 1
    alpn: bool = False
    client_certificates: bool = False

    @property
    def ours_alone(self) -> bool:
        """Whether it is about settings of a listener of ours."""
        return self.certificates > 1 or self.alpn or self.client_certificates


@dataclass(frozen=True)
class Wish:
    """A Setup with its places: a folder to write to, the port to listen on and that of the origin."""

    setup: Setup
    folder: Path
    port: int
    origin: int

    @property
    def both(self) -> Path:
        """Certificate and key in one file."""
        return certificates.serving(self.folder, self.setup.key)

    def write(self, suffix: str, text: str) -> Path:
        path = self.folder / f"{self.port}.{suffix}"
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Peer:
    """A kind of proxy.

    `prepare` writes the configuration of a wish and returns the command; `find` says where the program is, None when
    it is not installed; `version` what it calls itself; `refuses` why it cannot do a Setup, or "".
    """

    name: str
    find: Callable[[], str | None]
    version: Callable[[str], str]
    prepare: Callable[[Wish], list[str]]
    cannot: Callable[[Setup], str] = lambda setup: ""
    reload_signal: int | None = None
    end_signal: int = signal.SIGTERM
    start_seconds: float = 10.0

    def refuses(self, setup: Setup) -> str:
        if self.find() is None:
            return "not installed"
        if setup.reloads and self.reload_signal is None:
            return "reloading is not compared with it"
        return self.cannot(setup)


def peers_cannot(setup: Setup) -> str:
    """What goes for everybody but us."""
    return "measured for fastnlb alone" if setup.ours_alone else ""
