"""The blocks of fastnlb.yaml, as pydantic models: every key, its type, its range and its default.

This is the whole format.  What this version cannot do yet is refused by `availability`, and what one block asks of
another by `schema_rules`.  Timeouts are whole seconds.  A field's description completes `missing key "x": ...`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fastnlb.config.schema_types import (
    FilePath,
    Flag,
    HealthDomain,
    HostPort,
    HttpPath,
    ListenAddress,
    Name,
    Nameserver,
    Network,
    PolicyName,
    Port,
    PortRange,
    Scheduler,
    ServerAddress,
    ServerPort,
    Tags,
    Text,
    Workers,
    choice,
    literal_address,
    refuse,
    refuse_lack,
    split_host_port,
    whole,
)
from fastnlb.model import DEFAULT_SECURITY_POLICY, OPTIONAL, REQUIRED
from fastnlb.tls import alpn
from fastnlb.tls.policies import GROUPS, TLS_VERSIONS, ciphers_for


class Block(BaseModel):
    """A mapping of fastnlb.yaml.  Unknown keys are refused and nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AdminBlock(Block):
    """The ways into the running daemon."""

    socket: FilePath = "admin.sock"
    listen: HostPort | None = None
    tokens_file: FilePath | None = None

    @model_validator(mode="after")
    def _guard_the_network(self) -> AdminBlock:
        place = split_host_port(self.listen) if self.listen else None
        address = literal_address(place[0]) if place else None
        if address is not None and not address.is_loopback and self.tokens_file is None:
            refuse_lack("tokens_file is required, because listen is not a loopback address")
        return self


class LoggingBlock(Block):
    """What is written about the daemon and its connections."""

    level: Annotated[str, choice("debug", "info", "warning", "error")] = "info"
    format: Annotated[str, choice("console", "json")] = "console"
    access_log: FilePath | None = None


class CertificateBlock(Block):
    """A certificate file (leaf first, then the chain) and its key; the key may be in the same file."""

    name: Name = Field(description="how listeners refer to this certificate")
    certificate: FilePath = Field(description="a PEM file with the certificate, then its chain")
    private_key: FilePath | None = None
    private_key_passphrase_file: FilePath | None = None
    ocsp_response: FilePath | None = None


class CaCertificateBlock(Block):
    """Authorities that client certificates may come from, and what they have revoked."""

    name: Name = Field(description="how listeners refer to these authorities")
    certificate: FilePath = Field(description="a PEM file with one or more CA certificates")
    crl: FilePath | None = None
    verify_depth: Annotated[int, whole(0, 10, "intermediate certificates")] = 4


class SecurityPolicyBlock(Block):
    """TLS versions and ciphers besides the five system policies."""

    name: PolicyName = Field(description="how listeners refer to this policy")
    tls_versions: list[Annotated[str, choice(*TLS_VERSIONS)]] = Field(
        min_length=1, max_length=4, description="a list such as [TLSv1.2, TLSv1.3]"
    )
    ciphers: list[Annotated[str, choice(*ciphers_for(TLS_VERSIONS))]] = Field(
        min_length=1, max_length=32, description="a list of cipher names in the order the server prefers"
    )
    groups: list[Annotated[str, choice(*GROUPS)]] = Field(default=[], max_length=32)


class HealthCheckBlock(Block):
    """How servers are probed.  `connect_port` 0 is the server's own port; model.HealthCheck has the same fields."""

    enabled: Flag = True
    type: Annotated[str, choice("TCP", "HTTP")] = "TCP"
    connect_port: Annotated[int, whole(0, 65535)] = 0
    connect_timeout: Annotated[int, whole(1, 300, "seconds")] = 5
    interval: Annotated[int, whole(1, 50, "seconds")] = 5
    healthy_threshold: Annotated[int, whole(2, 10, "probes")] = 2
    unhealthy_threshold: Annotated[int, whole(2, 10, "probes")] = 2
    domain: HealthDomain | None = None
    url: HttpPath = "/"
    http_codes: list[Annotated[str, choice("http_2xx", "http_3xx", "http_4xx", "http_5xx")]] = Field(
        default=["http_2xx"], min_length=1, max_length=4
    )
    method: Annotated[str, choice("GET", "HEAD")] = "GET"
    http_version: Annotated[str, choice("HTTP1.0", "HTTP1.1")] = "HTTP1.0"
    proxy_protocol: Flag = False


class ServerBlock(Block):
    """One backend.  `port` is left out only in an any_port group or for a unix socket."""

    address: ServerAddress = Field(description="an IPv4 or IPv6 address, a host name or unix:/path")
    port: ServerPort | None = None
    weight: Annotated[int, whole(0, 100)] = 100


class ServerGroupBlock(Block):
    """Servers that answer for one service, and how one is chosen."""

    name: Name = Field(description="how listeners refer to this group")
    protocol: Annotated[str, choice("TCP", "UDP", "TCP_UDP")] = "TCP"
    scheduler: Scheduler = "wrr"
    any_port: Flag = False
    preserve_client_ip: Flag = False
    connection_drain_timeout: Annotated[int, whole(0, 900, "seconds")] | None = None
    health_check: HealthCheckBlock = HealthCheckBlock()
    servers: list[ServerBlock] = []


class ProxyProtocolBlock(Block):
    """The PROXY protocol header that is sent to servers."""

    version: Annotated[int, whole(2, 2)] = 2
    tlvs: list[Annotated[str, choice("alpn", "authority", "ssl", "crc32c")]] = Field(default=[], max_length=4)
    vpc_id: Name | None = None
    ep_id: Name | None = None
    eps_id: Name | None = None


class AcceptProxyProtocolBlock(Block):
    """Who may send a PROXY protocol header to a listener."""

    trusted: list[Network] = Field(min_length=1, description="a list of networks such as [10.0.0.0/8]")


class ListenerBlock(Block):
    """One address and port to accept on.  `port` and `port_range` exclude each other.

    `client_certificate` left out means `required` where there is a `ca_certificate`; written down it needs one, or
    somebody would believe that clients are asked.
    """

    name: Name = Field(description="how this listener is called in statistics and commands")
    protocol: Annotated[str, choice("TCPSSL", "TCP", "UDP")] = Field(description="TCPSSL or TCP")
    address: ListenAddress = "0.0.0.0"  # noqa: S104 - a load balancer serves every address unless told otherwise
    port: Port | None = None
    port_range: PortRange | None = None
    server_group: Name = Field(description="the name of a server group")
    certificate: Name | None = None
    additional_certificates: list[Name] = []
    strict_sni: Flag = False
    ca_certificate: Name | None = None
    client_certificate: Annotated[str, choice(REQUIRED, OPTIONAL)] | None = None
    security_policy: PolicyName = DEFAULT_SECURITY_POLICY
    alpn_policy: Annotated[str, choice(*alpn.POLICIES)] | None = None
    alpn_strict: Flag = False
    idle_timeout: Annotated[int, whole(1, 900, "seconds")] = 900
    handshake_timeout: Annotated[int, whole(1, 300, "seconds")] = 10
    connect_timeout: Annotated[int, whole(1, 300, "seconds")] = 5
    cps: Annotated[int, whole(0, 1_000_000, "new connections per second")] = 0
    max_connections: Annotated[int, whole(0, 10_000_000, "connections")] = 0
    mss: Annotated[int, whole(0, 1500, "bytes")] = 0
    proxy_protocol: ProxyProtocolBlock | None = None
    accept_proxy_protocol: AcceptProxyProtocolBlock | None = None
    tags: Tags = {}
    enabled: Flag = True


class ResolverBlock(Block):
    """Whom the host names of servers are asked of, and for how many seconds an answer counts."""

    nameservers: list[Nameserver] = Field(default=[], max_length=8)
    min_ttl: Annotated[int, whole(1, 3600, "seconds")] = 5
    max_ttl: Annotated[int, whole(1, 86_400, "seconds")] = 300

    @model_validator(mode="after")
    def _check_order(self) -> ResolverBlock:
        if self.min_ttl > self.max_ttl:
            refuse(f"min_ttl {self.min_ttl} is above max_ttl {self.max_ttl}: write it no larger")
        return self


class FileBlock(Block):
    """The whole of fastnlb.yaml."""

    version: Annotated[int, whole(1, 1)] = Field(description="write version: 1 at the top")
    workers: Workers = "auto"
    run_dir: FilePath | None = None
    user: Text | None = None
    shutdown_timeout: Annotated[int, whole(0, 86_400, "seconds")] = 30
    watch: Flag = False
    core_dumps: Flag = False
    admin: AdminBlock = AdminBlock()
    logging: LoggingBlock = LoggingBlock()
    resolver: ResolverBlock = ResolverBlock()
    certificates: list[CertificateBlock] = []
    ca_certificates: list[CaCertificateBlock] = []
    security_policies: list[SecurityPolicyBlock] = []
    server_groups: list[ServerGroupBlock] = []
    listeners: list[ListenerBlock] = []
