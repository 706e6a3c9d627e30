"""From the blocks of a good file, and what was read for them, to the values of the model.

Nothing is checked here any more.  Of policies and authorities the Snapshot has those that a listener uses.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from fastnlb import model
from fastnlb.config import schema
from fastnlb.config.schema_types import (
    is_host_name,
    is_unix_socket,
    literal_address,
    split_host_port,
    split_nameserver,
)
from fastnlb.tls.policies import SYSTEM, TLS_VERSIONS

MAX_WORKERS = 1024


def snapshot(
    file: schema.FileBlock,
    certificates: tuple[model.Certificate, ...],
    ca_certificates: tuple[model.CaCertificate, ...],
    base_dir: Path = Path(),
) -> model.Snapshot:
    policies = (*SYSTEM.values(), *map(security_policy, file.security_policies))
    used = {each.security_policy for each in file.listeners if each.protocol == model.TCPSSL}
    asked = {each.ca_certificate for each in file.listeners}
    return model.Snapshot(
        listeners=tuple(map(_listener, file.listeners)),
        server_groups=tuple(map(_server_group, file.server_groups)),
        certificates=certificates,
        ca_certificates=tuple(each for each in ca_certificates if each.name in asked),
        security_policies=tuple(policy for policy in policies if policy.name in used),
        resolver=_resolver(file.resolver),
        access_log=_access_log(file.logging.access_log, base_dir),
    )


def security_policy(block: schema.SecurityPolicyBlock) -> model.SecurityPolicy:
    """The order of the ciphers and groups is the server's preference, that of the versions means nothing."""
    versions = tuple(version for version in TLS_VERSIONS if version in block.tls_versions)
    return model.SecurityPolicy(block.name, versions, tuple(block.ciphers), tuple(block.groups))


def settings(file: schema.FileBlock, base_dir: Path, workers_override: int | None) -> model.Settings:
    workers = workers_override or file.workers
    return model.Settings(
        workers=workers if isinstance(workers, int) else min(len(os.sched_getaffinity(0)), MAX_WORKERS),
        run_dir=str((base_dir / file.run_dir).absolute()) if file.run_dir is not None else None,
        admin_socket=file.admin.socket,
        admin_listen=split_host_port(file.admin.listen) if file.admin.listen else None,
        admin_certificate=file.admin.certificate,
        tokens_file=str((base_dir / file.admin.tokens_file).absolute()) if file.admin.tokens_file else None,
        user=file.user,
        shutdown_timeout=file.shutdown_timeout,
        log_level=file.logging.level,
        log_format=file.logging.format,
        watch=file.watch,
        core_dumps=file.core_dumps,
    )


def _access_log(where: str | None, base_dir: Path) -> str | None:
    return where if where is None or where == model.STDOUT else str((base_dir / where).absolute())


def _listener(block: schema.ListenerBlock) -> model.Listener:
    first, last = (block.port or 0, 0) if block.port_range is None else block.port_range
    return model.Listener(
        name=block.name,
        protocol=block.protocol,
        address=_canonical(block.address),
        port=first,
        last_port=last,
        server_group=block.server_group,
        certificate=block.certificate,
        additional_certificates=tuple(block.additional_certificates),
        strict_sni=block.strict_sni,
        ca_certificate=block.ca_certificate,
        client_certificate=block.client_certificate or model.REQUIRED,
        security_policy=block.security_policy,
        alpn_policy=block.alpn_policy,
        alpn_strict=block.alpn_strict,
        idle_timeout=block.idle_timeout,
        handshake_timeout=block.handshake_timeout,
        connect_timeout=block.connect_timeout,
        cps=block.cps,
        max_connections=block.max_connections,
        mss=block.mss,
        proxy_protocol=_proxy_protocol(block.proxy_protocol),
        trusted=_networks(block.accept_proxy_protocol),
        enabled=block.enabled,
        tags=tuple(sorted(block.tags.items())),
    )


def _proxy_protocol(block: schema.ProxyProtocolBlock | None) -> model.ProxyProtocol | None:
    """The order of the TLVs is the core's own: one spelling for each set, so that another order is no change."""
    if block is None:
        return None
    return model.ProxyProtocol(tuple(sorted(block.tlvs)), block.vpc_id, block.ep_id, block.eps_id)


def _networks(block: schema.AcceptProxyProtocolBlock | None) -> tuple[str, ...]:
    """One spelling for each network, and no order."""
    return () if block is None else tuple(sorted({str(ipaddress.ip_network(each)) for each in block.trusted}))


def _server_group(block: schema.ServerGroupBlock) -> model.ServerGroup:
    servers = tuple(_server(each) for each in block.servers if not is_host_name(each.address))
    return model.ServerGroup(
        block.name,
        servers,
        block.scheduler,
        health_check=_health_check(block.health_check),
        connection_drain_timeout=block.connection_drain_timeout,
        any_port=block.any_port,
        named_servers=tuple(_named_server(each) for each in block.servers if is_host_name(each.address)),
        preserve_client_ip=block.preserve_client_ip,
    )


def _health_check(block: schema.HealthCheckBlock) -> model.HealthCheck | None:
    if not block.enabled:
        return None
    return model.HealthCheck(
        type=block.type,
        connect_port=block.connect_port,
        connect_timeout=block.connect_timeout,
        interval=block.interval,
        healthy_threshold=block.healthy_threshold,
        unhealthy_threshold=block.unhealthy_threshold,
        proxy_protocol=block.proxy_protocol,
        domain=block.domain,
        url=block.url,
        http_codes=tuple(sorted(set(block.http_codes))),  # their order means nothing
        method=block.method,
        http_version=block.http_version,
    )


def _server(block: schema.ServerBlock) -> model.Server:
    address = block.address if is_unix_socket(block.address) else _canonical(block.address)
    return model.Server(address, block.port or 0, block.weight)


def _named_server(block: schema.ServerBlock) -> model.NamedServer:
    """It stands for no address yet: whoever serves the Snapshot has it resolved."""
    return model.NamedServer(block.address.lower(), block.port or 0, block.weight)


def _resolver(block: schema.ResolverBlock) -> model.Resolver:
    nameservers = tuple(place for each in block.nameservers if (place := split_nameserver(each)) is not None)
    return model.Resolver(nameservers, block.min_ttl, block.max_ttl)


def _canonical(address: str) -> str:
    """One spelling for each address, so that 0:0::1 in place of ::1 is no change."""
    return str(literal_address(address))
