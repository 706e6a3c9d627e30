"""`fastnlb quick`: a listener, a server group and a certificate from the command line alone, in the foreground.

Exit status: 0 ended as asked, 1 refused (a certificate), 2 usage, 3 cannot start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from fastnlb.cli import log
from fastnlb.cli.options import Endpoint, EndpointType, WorkersType
from fastnlb.cli.origin import find_origin
from fastnlb.cli.serve import serve
from fastnlb.master.exits import EXIT_REFUSED
from fastnlb.model import (
    DEFAULT_SECURITY_POLICY,
    TCP,
    TCPSSL,
    Certificate,
    HealthCheck,
    Listener,
    NamedServer,
    Server,
    ServerGroup,
    Settings,
    Snapshot,
)
from fastnlb.tls import alpn
from fastnlb.tls.material import MaterialError, load_pair, parse_pair, self_signed
from fastnlb.tls.policies import SYSTEM

NAME = "quick"  # of the listener and all that belongs to it

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--listen", required=True, type=EndpointType(any_address=True), help="Where clients connect.")
@click.option(
    "--server",
    "servers",
    required=True,
    multiple=True,
    type=EndpointType(host_name=True),
    help="Where connections go; repeat for more.",
)
@click.option(
    "--protocol", type=click.Choice([TCPSSL, TCP]), default=TCPSSL, show_default=True, help="TCP has no TLS."
)
@click.option("--certificate", type=_FILE, help="PEM: the leaf first, then its chain.")
@click.option("--private-key", type=_FILE, help="PEM; may be in the certificate's file.")
@click.option("--self-signed", "make_certificate", is_flag=True, help="Make a certificate, for trials.")
@click.option(
    "--security-policy",
    type=click.Choice(list(SYSTEM)),
    help=f"TLS versions and ciphers; default: {DEFAULT_SECURITY_POLICY}.",
)
@click.option(
    "--alpn-policy", type=click.Choice(list(alpn.POLICIES)), help="Protocols to agree on; default: no ALPN."
)
@click.option("--workers", type=WorkersType(), default="auto", show_default=True, help="Worker processes.")
@click.option("--no-health-check", is_flag=True, help="Do not probe the servers; default: TCP, every 5 s.")
@click.option("--core-dumps", is_flag=True, help="Leave its processes to core dumps and debuggers, keys included.")
@click.pass_context
def quick(
    context: click.Context,
    *,
    listen: Endpoint,
    servers: tuple[Endpoint, ...],
    protocol: str,
    certificate: Path | None,
    private_key: Path | None,
    make_certificate: bool,
    security_policy: str | None,
    alpn_policy: str | None,
    workers: int,
    no_health_check: bool,
    core_dumps: bool,
) -> None:
    """Serve one listener from the command line, in the foreground."""
    origin = find_origin()
    wishes = {
        "--certificate": certificate,
        "--private-key": private_key,
        "--self-signed": make_certificate,
        "--security-policy": security_policy,
        "--alpn-policy": alpn_policy,
    }
    _check_usage(protocol, {option for option, value in wishes.items() if value})
    log.setup("info", "console")
    try:
        made = _certificate(listen, certificate, private_key) if protocol == TCPSSL else None
    except MaterialError as error:
        origin.failed(str(error))
        _refuse(context, str(error))
    snapshot = quick_snapshot(
        listen,
        servers,
        made,
        security_policy or DEFAULT_SECURITY_POLICY,
        alpn_policy,
        health_check=None if no_health_check else HealthCheck(),
    )
    context.exit(serve(snapshot, Settings(workers=workers, core_dumps=core_dumps), origin=origin))


def quick_snapshot(
    listen: Endpoint,
    servers: Sequence[Endpoint],
    certificate: Certificate | None,
    security_policy: str = DEFAULT_SECURITY_POLICY,
    alpn_policy: str | None = None,
    *,
    health_check: HealthCheck | None = HealthCheck(),  # noqa: B008 - a frozen value
) -> Snapshot:
    """One listener, with TLS when it has a certificate, on one group of equal servers."""
    listener = Listener(
        name=NAME,
        protocol=TCP if certificate is None else TCPSSL,
        address=listen.address,
        port=listen.port,
        server_group=NAME,
        certificate=None if certificate is None else certificate.name,
        security_policy=security_policy,
        alpn_policy=alpn_policy,
    )
    group = ServerGroup(
        NAME,
        tuple(Server(each.address, each.port) for each in servers if not each.is_host_name),
        health_check=health_check,
        named_servers=tuple(NamedServer(each.address, each.port) for each in servers if each.is_host_name),
    )
    return Snapshot(
        listeners=(listener,),
        server_groups=(group,),
        certificates=() if certificate is None else (certificate,),
        security_policies=() if certificate is None else (SYSTEM[security_policy],),
    )


def trial_certificate(listen: Endpoint) -> Certificate:
    """A self-signed certificate for this machine as clients on it will call it."""
    names = ["localhost", "127.0.0.1", "::1"]
    if listen.address not in names and not listen.is_wildcard:
        names.append(listen.address)
    return parse_pair(*self_signed(names)).certificate(NAME)


def _check_usage(protocol: str, wishes: set[str]) -> None:
    if protocol == TCP:
        if wishes:
            raise click.UsageError(f"{', '.join(sorted(wishes))}: a TCP listener has no TLS; use --protocol {TCPSSL}")
        return
    if "--self-signed" in wishes and wishes & {"--certificate", "--private-key"}:
        raise click.UsageError("--self-signed makes its own certificate and key: leave out the files")
    if not wishes & {"--self-signed", "--certificate"}:
        raise click.UsageError("a TCPSSL listener needs --certificate FILE (and --private-key FILE) or --self-signed")


def _certificate(listen: Endpoint, certificate: Path | None, private_key: Path | None) -> Certificate:
    if certificate is None:
        return trial_certificate(listen)
    pair = load_pair(certificate, private_key)
    for warning in pair.warnings:
        click.echo(f"fastnlb: warning: {warning}", err=True)
    return pair.certificate(NAME)


def _refuse(context: click.Context, message: str) -> NoReturn:
    click.echo(f"fastnlb: {message}", err=True)
    context.exit(EXIT_REFUSED)
