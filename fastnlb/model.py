"""The Snapshot: everything the data plane is to do, as one frozen value.

Every source of configuration ends in a Snapshot, and a change is always a pair of them.  Equality is by
value, so a plan is a comparison.  Nothing here does I/O or imports another part of fastnlb.
Units: seconds for every timeout, Unix seconds for every instant, bytes for PEM text (already read: a worker opens
no file).
"""

from __future__ import annotations

from dataclasses import dataclass, field

TCPSSL = "TCPSSL"
TCP = "TCP"
HTTP = "HTTP"
HTTP_1_1 = "HTTP1.1"
SERVER_IP = "$SERVER_IP"
UNIX = "unix:"
STDOUT = "stdout"
DEFAULT_SECURITY_POLICY = "tls_cipher_policy_1_2_strict_with_1_3"
REQUIRED = "required"
OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Staple:
    """An OCSP response (DER) that is known to belong to its certificate; not to be sent after `until`."""

    der: bytes = field(repr=False)
    until: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain (leaf first) and its private key, both PEM; known to belong together.

    `names` are the host names it is for, lower-case A-labels, `*.` in front of a wildcard.  `key_type` is RSA, ECDSA
    or Ed25519.  `not_before` and `not_after` are the leaf's.
    """

    name: str
    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    names: tuple[str, ...] = ()
    key_type: str = ""
    not_before: int = 0
    not_after: int = 0
    staple: Staple | None = None


@dataclass(frozen=True, slots=True)
class CaCertificate:
    """Authorities that client certificates may come from (PEM), and what they have revoked (PEM; empty = not asked).

    `verify_depth`, 0..10: how many intermediate certificates may stand between a client's certificate and one of
    the authorities.
    """

    name: str
    bundle_pem: bytes
    crl_pem: bytes = b""
    verify_depth: int = 4


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """TLS versions (oldest first), cipher names in server preference order, and key-exchange groups."""

    name: str
    tls_versions: tuple[str, ...]
    ciphers: tuple[str, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One backend: a literal IPv4 or IPv6 address and a port 1..65535, or `unix:/path` and port 0.

    `weight` 0..100, 0 = no new connections.  `port` 0, in groups with `any_port`: the port that the client came to.
    `host` is the name that the address was found by, "" for one that was written down.
    """

    address: str
    port: int
    weight: int = 100
    host: str = ""


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A host name in place of an address: a Server for each address it has; lower case."""

    host: str
    port: int
    weight: int = 100


def place(address: str, port: int, last_port: int = 0) -> str:
    """`10.0.0.1:80`, `[::1]:80-89`, `unix:/run/app.sock`, and `10.0.0.1` for every port: what a person is told."""
    if address.startswith(UNIX) or not port:
        return address
    ports = f"{port}-{last_port}" if last_port else str(port)
    return f"[{address}]:{ports}" if ":" in address else f"{address}:{ports}"


@dataclass(frozen=True, slots=True)
class Host:
    """A host name and its addresses when last resolved, IPv4 first, each kind in order; none before that."""

    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolver:
    """Whom host names are asked of, as (address, port), none = as the system says; how long an answer counts."""

    nameservers: tuple[tuple[str, int], ...] = ()
    min_ttl: int = 5
    max_ttl: int = 300


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How the servers of a group are probed.  `type` is TCP or HTTP; from `domain` to `http_version` it is HTTP's.

    `connect_port` 0 is the server's own; `connect_timeout` holds for the answer as well; `proxy_protocol`: a probe
    begins with a PROXY protocol header; `domain` is what the Host header says, SERVER_IP for the server's address;
    `http_codes` are classes such as http_2xx, sorted.
    """

    type: str = TCP
    connect_port: int = 0
    connect_timeout: int = 5
    interval: int = 5
    healthy_threshold: int = 2
    unhealthy_threshold: int = 2
    proxy_protocol: bool = False
    domain: str | None = None
    url: str = "/"
    http_codes: tuple[str, ...] = ("http_2xx",)
    method: str = "GET"
    http_version: str = "HTTP1.0"


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """Servers that answer for one service, the scheduler that chooses between them (rr, wrr, wlc, sch or tch), and
    how they are checked.

    `connection_drain_timeout`: how long the connections of a server that takes no new ones go on; None = for ever.
    `health_check` None: nobody checks.  `any_port`: for listeners on a range of ports; a client that came to port N
    is connected to port N of its server.  `servers` are all there are; those with a `host` are there because one of
    the `named_servers` has that address.  `preserve_client_ip`: they are connected to from the client's own address.
    """

    name: str
    servers: tuple[Server, ...]
    scheduler: str = "wrr"
    connection_drain_timeout: int | None = None
    health_check: HealthCheck | None = None
    any_port: bool = False
    named_servers: tuple[NamedServer, ...] = ()
    preserve_client_ip: bool = False


@dataclass(frozen=True, slots=True)
class ProxyProtocol:
    """The PROXY protocol header (version 2) that servers are sent: `tlvs` of alpn, authority, ssl and crc32c, and the
    cloud's ids of the network, the endpoint and the endpoint service; None = not sent.
    """

    tlvs: tuple[str, ...] = ()
    vpc_id: str | None = None
    ep_id: str | None = None
    eps_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """One address and port to accept on, and what becomes of a connection accepted there.

    `last_port`: the last one of a range of ports that begins with `port`; 0 = there is only the one.
    `ca_certificate` names a CaCertificate and switches client authentication on; `client_certificate` says whether a
    client may do without one.  `cps` and `max_connections` are limits over all workers, and `mss` bytes; 0 = none.
    `trusted`: networks whose members begin with a PROXY protocol header.
    """

    name: str
    protocol: str
    address: str
    port: int
    server_group: str
    certificate: str | None = None
    additional_certificates: tuple[str, ...] = ()
    strict_sni: bool = False
    ca_certificate: str | None = None
    client_certificate: str = REQUIRED
    security_policy: str = DEFAULT_SECURITY_POLICY
    alpn_policy: str | None = None
    alpn_strict: bool = False
    idle_timeout: int = 900
    handshake_timeout: int = 10
    connect_timeout: int = 5
    cps: int = 0
    max_connections: int = 0
    mss: int = 0
    proxy_protocol: ProxyProtocol | None = None
    trusted: tuple[str, ...] = ()
    enabled: bool = True
    tags: tuple[tuple[str, str], ...] = ()
    last_port: int = 0

    @property
    def ports(self) -> range:
        return range(self.port, max(self.port, self.last_port) + 1)

    @property
    def terminates_tls(self) -> bool:
        return self.protocol == TCPSSL


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole desired state; names are unique within a kind and every reference in it resolves.

    `hosts` are the host names of all groups, sorted, with what is known of them.  `access_log`: an absolute path or
    STDOUT; None = no access log.
    """

    listeners: tuple[Listener, ...] = ()
    server_groups: tuple[ServerGroup, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    ca_certificates: tuple[CaCertificate, ...] = ()
    security_policies: tuple[SecurityPolicy, ...] = ()
    hosts: tuple[Host, ...] = ()
    resolver: Resolver = Resolver()
    access_log: str | None = None

    def active_listeners(self) -> tuple[Listener, ...]:
        """The listeners that accept connections: those not stopped with `enabled: false`."""
        return tuple(listener for listener in self.listeners if listener.enabled)


@dataclass(frozen=True, slots=True)
class Front:
    """The session ticket keys of a listener: the `number` of a context in the pool that every worker inherits, -1
    when the pool is used up; `epoch` is never the same for two takings of a front.
    """

    number: int
    epoch: int


ServerKey = tuple[str, str, int]
"""A server of a group: (group, address, port)."""


SocketKey = tuple[str, int]
"""A listening socket of a worker: (listener, port)."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Where servers and listeners stand on the shared board; -1 when it is full."""

    servers: dict[ServerKey, int] = field(default_factory=dict)
    listeners: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker is asked to serve: a Snapshot, the front of each of its TLS listeners by name, and the cells.

    `ports`: on which ports a listener has sockets, where that is not its `port` alone.  See master/sockets.py.
    """

    snapshot: Snapshot
    fronts: dict[str, Front] = field(default_factory=dict)
    cells: Cells = Cells()
    ports: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def socket_keys(self, listener: Listener) -> list[SocketKey]:
        return [(listener.name, port) for port in self.ports.get(listener.name, (listener.port,))]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the daemon itself runs; fixed for its life.  `workers` is 1 or more, already resolved from `auto`.

    `admin_socket` is relative to `run_dir`; `admin_listen` is where clients of the API may come over TCP, with TLS
    when there is an `admin_certificate` (its name), as bearers of tokens of `tokens_file`.  `user` is who workers and
    control become when started as root.
    `watch`: certificate files are looked at for changes.  `core_dumps`: processes that hold keys may be dumped.
    """

    workers: int = 1
    run_dir: str | None = None
    admin_socket: str = "admin.sock"
    admin_listen: tuple[str, int] | None = None
    admin_certificate: str | None = None
    tokens_file: str | None = None
    user: str | None = None
    shutdown_timeout: int = 30
    log_level: str = "info"
    log_format: str = "console"
    watch: bool = False
    core_dumps: bool = False
