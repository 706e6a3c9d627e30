"""The floor of rows with TLS: the same library without a proxy, sockets or kernel.

Contexts are those that fastnlb makes.  Memory is measured in a process of its own (this module run as a program),
because what one measurement has freed the next would find.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from OpenSSL import SSL

from bench import certificates, procfs
from bench._load import handshake_cost, idle_sessions
from bench.clients import Client
from bench.results import Sample
from bench.scenario import Effort
from fastnlb.model import DEFAULT_SECURITY_POLICY
from fastnlb.tls.contexts import server_context
from fastnlb.tls.material import load_pair
from fastnlb.tls.policies import SYSTEM

WARM = 50  # sessions that are not counted


def context(both: Path) -> SSL.Context:
    return server_context(load_pair(both).certificate("floor"), SYSTEM[DEFAULT_SECURITY_POLICY])


def handshakes(key: str, client: Client) -> Callable[[Path, Effort], Sample]:
    """The server's processor time for handshakes in memory."""

    def run(folder: Path, effort: Effort) -> Sample:
        server = context(certificates.serving(folder, key))
        cost = handshake_cost(server, client.context(folder), effort.handshakes, client.resume)
        return Sample(effort.handshakes, cpu_ns=cost * effort.handshakes)

    return run


def memory(key: str, count: int) -> Callable[[Path, Effort], Sample]:
    """What `count` established sessions take."""

    def run(folder: Path, effort: Effort) -> Sample:
        both = certificates.serving(folder, key)
        command = [sys.executable, "-m", "bench.scenarios.library", str(both), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return Sample(count, memory=int(done.stdout))

    return run


def main(both: str, count: str) -> None:
    server, client = context(Path(both)), Client().context(Path())
    idle_sessions(server, client, WARM).close()
    before = procfs.resident_bytes(_self())
    held = idle_sessions(server, client, int(count))
    print(procfs.resident_bytes(_self()) - before)
    held.close()


def _self() -> int:
    return int(Path("/proc/self").readlink().name)


if __name__ == "__main__":
    main(*sys.argv[1:])
