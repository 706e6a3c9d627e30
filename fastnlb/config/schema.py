"""The blocks of fastnlb.yaml, as pydantic models: every key, its type, its range and its default.

This is the whole format.  What this version cannot do yet is refused by `availability`, and what one block asks of
another by `schema_rules`.  Timeouts are whole seconds.

The loader, the JSON Schema and the configuration reference are made of it.  Every key has a description, one line of
what it does; that of a required key completes `missing key "x": ...` as well.
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
from fastnlb.tls.policies import DEFAULT_GROUPS, GROUPS, TLS_VERSIONS, ciphers_for


class Block(BaseModel):
    """A mapping of fastnlb.yaml.  Unknown keys are refused and nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AdminBlock(Block):
    """The ways into the running daemon."""

    socket: FilePath = Field(
        default="admin.sock", description="the admin socket, in run_dir; 107 bytes at most with it"
    )
    listen: HostPort | None = Field(default=None, description="address and port for administration over TCP")
    certificate: Name | None = Field(
        default=None, description="name of the certificate that listen answers with (TLS); none = in the clear"
    )
    tokens_file: FilePath | None = Field(
        default=None, description="file with the bearer tokens; required when listen is not a loopback address"
    )

    @model_validator(mode="after")
    def _guard_the_network(self) -> AdminBlock:
        place = split_host_port(self.listen) if self.listen else None
        address = literal_address(place[0]) if place else None
        if address is not None and not address.is_loopback and self.tokens_file is None:
            refuse_lack("tokens_file is required, because listen is not a loopback address")
        return self


class LoggingBlock(Block):
    """What is written about the daemon and its connections."""

    level: Annotated[str, choice("debug", "info", "warning", "error")] = Field(
        default="info", description="the least important messages that are written"
    )
    format: Annotated[str, choice("console", "json")] = Field(
        default="console", description="lines for people, or a JSON object a line for programs"
    )
    access_log: FilePath | None = Field(
        default=None, description="where a line for each closed connection goes: a file, a named pipe or stdout"
    )


class CertificateBlock(Block):
    """A certificate file (leaf first, then the chain) and its key; the key may be in the same file."""

    name: Name = Field(description="how listeners refer to this certificate")
    certificate: FilePath = Field(description="a PEM file with the certificate, then its chain")
    private_key: FilePath | None = Field(
        default=None, description="PEM file with the key; left out when it is in the certificate's file"
    )
    private_key_passphrase_file: FilePath | None = Field(
        default=None, description="file with the passphrase of an encrypted key"
    )
    ocsp_response: FilePath | None = Field(default=None, description="DER file with an OCSP response to staple")
    tags: Tags = Field(default={}, description="text by key, to find it by in the API and on the command line")


class CaCertificateBlock(Block):
    """Authorities that client certificates may come from, and what they have revoked."""

    name: Name = Field(description="how listeners refer to these authorities")
    certificate: FilePath = Field(description="a PEM file with one or more CA certificates")
    crl: FilePath | None = Field(
        default=None,
        description="file with their revocation lists (PEM, or a single one in DER); none = nobody is asked",
    )
    verify_depth: Annotated[int, whole(0, 10, "intermediate certificates")] = Field(
        default=4, description="how many intermediate certificates may stand between a client's and one of these"
    )
    tags: Tags = Field(default={}, description="text by key, to find it by in the API and on the command line")


class SecurityPolicyBlock(Block):
    """TLS versions and ciphers besides the five system policies."""

    name: PolicyName = Field(description="how listeners refer to this policy")
    tls_versions: list[Annotated[str, choice(*TLS_VERSIONS)]] = Field(
        min_length=1, max_length=4, description="a list such as [TLSv1.2, TLSv1.3]"
    )
    ciphers: list[Annotated[str, choice(*ciphers_for(TLS_VERSIONS))]] = Field(
        min_length=1, max_length=32, description="a list of cipher names in the order the server prefers"
    )
    groups: list[Annotated[str, choice(*GROUPS)]] = Field(
        default=[],
        max_length=32,
        description=f"groups for the key exchange in the order of preference; [] = {', '.join(DEFAULT_GROUPS)}",
    )
    tags: Tags = Field(default={}, description="text by key, to find it by in the API and on the command line")


# model.HealthCheck has the same fields.
class HealthCheckBlock(Block):
    """How the servers of a group are probed."""

    enabled: Flag = Field(default=True, description="false = nobody checks, every server counts as healthy")
    type: Annotated[str, choice("TCP", "HTTP")] = Field(
        default="TCP", description="TCP = the connection is accepted; HTTP = a request is answered"
    )
    connect_port: Annotated[int, whole(0, 65535)] = Field(
        default=0, description="port to probe; 0 = the server's own, which there is none of in an any_port group"
    )
    connect_timeout: Annotated[int, whole(1, 300, "seconds")] = Field(
        default=5, description="seconds to connect, and as many again for the answer"
    )
    interval: Annotated[int, whole(1, 50, "seconds")] = Field(
        default=5, description="seconds from the start of a probe to that of the next, give or take a tenth"
    )
    healthy_threshold: Annotated[int, whole(2, 10, "probes")] = Field(
        default=2, description="good probes in a row that make an unhealthy server healthy"
    )
    unhealthy_threshold: Annotated[int, whole(2, 10, "probes")] = Field(
        default=2, description="bad probes in a row that make a server unhealthy"
    )
    domain: HealthDomain | None = Field(
        default=None,
        description="HTTP: the Host header; $SERVER_IP = the server's address; none = no such header in HTTP/1.0, "
        "as $SERVER_IP in HTTP/1.1",
    )
    url: HttpPath = Field(default="/", description="HTTP: the path that is asked for")
    http_codes: list[Annotated[str, choice("http_2xx", "http_3xx", "http_4xx", "http_5xx")]] = Field(
        default=["http_2xx"], min_length=1, max_length=4, description="HTTP: the classes of status that are well"
    )
    method: Annotated[str, choice("GET", "HEAD")] = Field(
        default="GET", description="HTTP: the method of the request"
    )
    http_version: Annotated[str, choice("HTTP1.0", "HTTP1.1")] = Field(
        default="HTTP1.0", description="HTTP: the version of the request"
    )
    proxy_protocol: Flag = Field(
        default=False, description="true = a probe begins with a PROXY protocol header (version 2, LOCAL)"
    )


class ServerBlock(Block):
    """One backend."""

    address: ServerAddress = Field(description="an IPv4 or IPv6 address, a host name or unix:/path")
    port: ServerPort | None = Field(
        default=None,
        description="port to connect to; left out (or 0) only in an any_port group, and for a unix socket",
    )
    weight: Annotated[int, whole(0, 100)] = Field(
        default=100, description="share of new connections in proportion to the other servers; 0 = none"
    )


class ServerGroupBlock(Block):
    """Servers that answer for one service, and how one is chosen."""

    name: Name = Field(description="how listeners refer to this group")
    protocol: Annotated[str, choice("TCP", "TCP_UDP", later=("UDP",))] = Field(
        default="TCP", description="what its servers speak; of TCP_UDP, TCP listeners use the TCP side"
    )
    scheduler: Scheduler = Field(
        default="wrr",
        description="weighted round robin (wrr), weighted least connections (wlc), round robin (rr), consistent hash "
        "of the client's address (sch) or of addresses and ports (tch); upper or lower case",
    )
    any_port: Flag = Field(
        default=False, description="true = for listeners with a port_range; servers have no port of their own"
    )
    preserve_client_ip: Flag = Field(
        default=False, description="true = servers see the client's own address; for TCP listeners"
    )
    connection_drain_timeout: Annotated[int, whole(0, 900, "seconds")] | None = Field(
        default=None,
        description="seconds for which connections of a server go on once it is out; none = until they end",
    )
    health_check: HealthCheckBlock = Field(default=HealthCheckBlock(), description="how its servers are probed")
    servers: list[ServerBlock] = Field(default=[], description="its servers")
    tags: Tags = Field(default={}, description="text by key, to find it by in the API and on the command line")


class ProxyProtocolBlock(Block):
    """The PROXY protocol header that is sent to servers."""

    version: Annotated[int, whole(2, 2)] = Field(
        default=2, description="version of the header; there is only this one"
    )
    tlvs: list[Annotated[str, choice("alpn", "authority", "ssl", "crc32c")]] = Field(
        default=[], max_length=4, description="what the header has besides addresses; of a TCP listener only crc32c"
    )
    vpc_id: Name | None = Field(default=None, description="a TLV of Alibaba Cloud (0xE1, subtype 1) with this id")
    ep_id: Name | None = Field(default=None, description="a TLV of Alibaba Cloud (0xE1, subtype 2) with this id")
    eps_id: Name | None = Field(default=None, description="a TLV of Alibaba Cloud (0xE1, subtype 3) with this id")


class AcceptProxyProtocolBlock(Block):
    """Who may send a PROXY protocol header to a listener."""

    trusted: list[Network] = Field(min_length=1, description="a list of networks such as [10.0.0.0/8]")


# `client_certificate` written down needs a `ca_certificate`, or somebody would believe that clients are asked.
class ListenerBlock(Block):
    """One address and port to accept on, or a range of ports; `port` and `port_range` exclude each other."""

    name: Name = Field(description="how this listener is called in statistics and commands")
    protocol: Annotated[str, choice("TCPSSL", "TCP", later=("UDP",))] = Field(description="TCPSSL or TCP")
    address: ListenAddress = Field(
        default="0.0.0.0",  # noqa: S104 - a load balancer serves every address unless told otherwise
        description="address of this machine to accept on; 0.0.0.0 = every IPv4 address, :: = every IPv6 address",
    )
    port: Port | None = Field(default=None, description="port to accept on; required unless there is a port_range")
    port_range: PortRange | None = Field(
        default=None, description="every port from the first to the last; each goes to the same port of the server"
    )
    server_group: Name = Field(description="the name of a server group")
    certificate: Name | None = Field(
        default=None, description="name of the default certificate; required for TCPSSL, and for nothing else"
    )
    additional_certificates: list[Name] = Field(
        default=[], description="names of more certificates, chosen by the name a client asks for (SNI)"
    )
    strict_sni: Flag = Field(
        default=False,
        description="true = a client that asks for a name without a certificate, or for none, is refused",
    )
    ca_certificate: Name | None = Field(
        default=None, description="name of the authorities clients come from; switches client authentication on"
    )
    client_certificate: Annotated[str, choice(REQUIRED, OPTIONAL)] | None = Field(
        default=None,
        description="whether a client has to show a certificate; none = required if there is a ca_certificate",
    )
    security_policy: PolicyName = Field(
        default=DEFAULT_SECURITY_POLICY, description="name of a system policy or of one of security_policies"
    )
    alpn_policy: Annotated[str, choice(*alpn.POLICIES)] | None = Field(
        default=None, description="protocols that are agreed on with clients (ALPN); none = no ALPN"
    )
    alpn_strict: Flag = Field(
        default=False,
        description="true = a client that offers only other protocols is refused; only beside alpn_policy",
    )
    idle_timeout: Annotated[int, whole(1, 900, "seconds")] = Field(
        default=900, description="seconds without a byte in either direction after which a connection is ended"
    )
    handshake_timeout: Annotated[int, whole(1, 300, "seconds")] = Field(
        default=10, description="seconds a client has for its TLS handshake, and for a PROXY protocol header"
    )
    connect_timeout: Annotated[int, whole(1, 300, "seconds")] = Field(
        default=5, description="seconds a server has to accept a connection before another one is tried"
    )
    cps: Annotated[int, whole(0, 1_000_000, "new connections per second")] = Field(
        default=0, description="most new connections per second, over all workers; 0 = any number"
    )
    max_connections: Annotated[int, whole(0, 10_000_000, "connections")] = Field(
        default=0, description="most connections at one time, over all workers; 0 = any number"
    )
    mss: Annotated[int, whole(0, 1500, "bytes")] = Field(
        default=0,
        description="most bytes in a TCP segment from clients; Linux takes 88 and more; 0 = as the system has it",
    )
    proxy_protocol: ProxyProtocolBlock | None = Field(
        default=None, description="the PROXY protocol header that servers are sent; none = no header"
    )
    accept_proxy_protocol: AcceptProxyProtocolBlock | None = Field(
        default=None, description="who begins with a PROXY protocol header; none = nobody"
    )
    tags: Tags = Field(default={}, description="labels of one's own")
    enabled: Flag = Field(default=True, description="false = the listener is stopped")


class ResolverBlock(Block):
    """Whom the host names of servers are asked of, and for how many seconds an answer counts."""

    nameservers: list[Nameserver] = Field(
        default=[], max_length=8, description="name servers to ask; [] = those of /etc/resolv.conf"
    )
    min_ttl: Annotated[int, whole(1, 3600, "seconds")] = Field(
        default=5, description="seconds for which an answer counts at least"
    )
    max_ttl: Annotated[int, whole(1, 86_400, "seconds")] = Field(
        default=300, description="seconds for which an answer counts at most"
    )

    @model_validator(mode="after")
    def _check_order(self) -> ResolverBlock:
        if self.min_ttl > self.max_ttl:
            refuse(f"min_ttl {self.min_ttl} is above max_ttl {self.max_ttl}: write it no larger")
        return self


class FileBlock(Block):
    """The whole of fastnlb.yaml.  Paths are relative to the file."""

    version: Annotated[int, whole(1, 1)] = Field(description="write version: 1 at the top")
    workers: Workers = Field(
        default="auto", description="worker processes; auto = as many as processors this process may use"
    )
    run_dir: FilePath | None = Field(
        default=None, description="folder of this daemon for its pid file and admin socket; none = one of its own"
    )
    user: Text | None = Field(
        default=None,
        description="whom workers and the control process become when started as root, a name or a number",
    )
    shutdown_timeout: Annotated[int, whole(0, 86_400, "seconds")] = Field(
        default=30, description="seconds that connections may go on when the daemon stops"
    )
    watch: Flag = Field(default=False, description="true = files of certificates are looked at for changes")
    core_dumps: Flag = Field(
        default=False, description="true = processes that hold private keys may leave core dumps and be debugged"
    )
    admin: AdminBlock = Field(default=AdminBlock(), description="the ways into the running daemon")
    logging: LoggingBlock = Field(
        default=LoggingBlock(), description="what is written about the daemon and its connections"
    )
    resolver: ResolverBlock = Field(default=ResolverBlock(), description="how host names of servers are resolved")
    certificates: list[CertificateBlock] = Field(default=[], description="certificates with their keys")
    ca_certificates: list[CaCertificateBlock] = Field(default=[], description="authorities of clients")
    security_policies: list[SecurityPolicyBlock] = Field(
        default=[], description="policies besides the five system policies"
    )
    server_groups: list[ServerGroupBlock] = Field(default=[], description="groups of servers")
    listeners: list[ListenerBlock] = Field(default=[], description="what clients connect to")
