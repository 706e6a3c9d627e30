"""New TLS connections: connect, handshake, a byte there and back, close; eight at a time, so no proxy is waiting."""

from __future__ import annotations

from bench._load import connections
from bench.clients import Client
from bench.peers import Setup
from bench.results import Sample
from bench.running import Site
from bench.scenario import PER_CONNECTION, Effort, Scenario, measured
from bench.scenarios import library

AT_A_TIME = 8
HYBRID = "X25519MLKEM768"
KEYS = {"ecdsa": "ECDSA P-256", "rsa2048": "RSA-2048"}


def scenario(version: str, key: str, *, group: str = "X25519", resume: bool = False, quick: bool = False) -> Scenario:
    client = Client(version, group, resume=resume)

    def run(site: Site, effort: Effort) -> Sample:
        target = site.target(client)
        return measured(site, lambda: connections(target, at_a_time=AT_A_TIME, seconds=effort.seconds, resume=resume))

    kind = "resumed" if resume else "full"
    words = [version.replace("TLSv", "TLS "), kind, KEYS[key], group]
    return Scenario(
        "-".join(["handshake", version.replace("TLSv", "tls"), kind, key, group.lower()]),
        "handshakes",
        ", ".join(words),
        (PER_CONNECTION,),
        run,
        Setup(key=key),
        client,
        quick=quick,
        floor=library.handshakes(key, client),
    )


SCENARIOS = (
    scenario("TLSv1.3", "ecdsa", quick=True),
    scenario("TLSv1.3", "ecdsa", group=HYBRID, quick=True),
    scenario("TLSv1.3", "rsa2048", quick=True),
    scenario("TLSv1.3", "rsa2048", group=HYBRID),
    scenario("TLSv1.2", "ecdsa", quick=True),
    scenario("TLSv1.2", "rsa2048"),
    scenario("TLSv1.3", "ecdsa", resume=True, quick=True),
    scenario("TLSv1.2", "ecdsa", resume=True),
)
