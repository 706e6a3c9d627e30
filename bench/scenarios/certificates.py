"""fastnlb alone: a TLS 1.3 connection with 1 and 10,000 certificates, with ALPN, and with client certificates."""

from __future__ import annotations

from bench import certificates
from bench._load import connections
from bench.clients import Client
from bench.peers import Setup
from bench.results import SUBJECT, Sample
from bench.running import Site
from bench.scenario import PER_CONNECTION, Effort, Scenario, measured

AT_A_TIME = 8
MANY = 10_000


def scenario(name: str, title: str, setup: Setup, client: Client) -> Scenario:
    def run(site: Site, effort: Effort) -> Sample:
        target = site.target(client)
        return measured(site, lambda: connections(target, at_a_time=AT_A_TIME, seconds=effort.seconds))

    return Scenario(f"certificates-{name}", "certificates", title, (PER_CONNECTION,), run, setup, client, (SUBJECT,))


def names(count: int) -> tuple[str, ...]:
    return tuple(certificates.host(number) for number in range(count))


SCENARIOS = (
    scenario("1", "1 certificate", Setup(), Client(names=names(1))),
    scenario("10000", "10,000 certificates", Setup(certificates=MANY), Client(names=names(MANY))),
    scenario("alpn", "1 certificate, ALPN", Setup(alpn=True), Client(names=names(1), alpn=True)),
    scenario(
        "client",
        "1 certificate, client certificates",
        Setup(client_certificates=True),
        Client(names=names(1), certificate="crowd1"),
    ),
)
