"""hitch, which does nothing but TLS; its buffers, of 32 KiB, cannot be set in its file."""

from __future__ import annotations

import re
import shutil

from bench.machine import output
from bench.peers.base import BACKLOG, Peer, Setup, Wish, peers_cannot

TEXT = """
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{origin}"
pem-file = "{both}"
workers = {workers}
backlog = {backlog}
tls-protos = TLSv1.2 TLSv1.3
"""


def _prepare(wish: Wish) -> list[str]:
    text = TEXT.format(
        port=wish.port, origin=wish.origin, both=wish.both, workers=wish.setup.workers, backlog=BACKLOG
    )
    return ["hitch", "--config", str(wish.write("hitch.conf", text)), "--user", "nobody"]


def _version(program: str) -> str:
    number = re.search(r"hitch (\S+)", output([program, "--version"]))
    return number[1] if number else "unknown"


def _cannot(setup: Setup) -> str:
    return peers_cannot(setup) if setup.tls else "has no plain mode"


HITCH = Peer("hitch", lambda: shutil.which("hitch"), _version, _prepare, _cannot)
