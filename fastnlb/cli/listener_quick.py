"""`fastnlb listener quick`: a listener with all that it needs, in one step, in a running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fastnlb.cli.admin_client import demand
from fastnlb.cli.change import DRY_RUN, dry, show_change
from fastnlb.cli.kinds import CERTIFICATE, LISTENER
from fastnlb.cli.pem_files import with_contents
from fastnlb.cli.printing import output_option
from fastnlb.cli.target import Target, which_daemon

TCPSSL, TCP = "TCPSSL", "TCP"
_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("name", required=False)
@click.option("--listen", required=True, metavar="ADDRESS:PORT", help="Where clients connect; :443 is every address.")
@click.option(
    "--server", "servers", multiple=True, metavar="ADDRESS:PORT", help="A server of a new group; repeat for more."
)
@click.option("--server-group", metavar="NAME", help="In place of --server: a server group that there is.")
@click.option("--protocol", type=click.Choice([TCPSSL, TCP]), default=TCPSSL, show_default=True, help="TLS, or not.")
@click.option("--certificate", type=_FILE, metavar="FILE", help="PEM: the leaf first, then its chain.")
@click.option("--private-key", type=_FILE, metavar="FILE", help="PEM; may be in the certificate's file.")
@click.option("--certificate-name", metavar="NAME", help="In place of a file: a certificate that there is.")
@click.option(
    "--self-signed",
    multiple=True,
    metavar="NAME",
    help="In place of a file: one made for this host name, for trials.",
)
@click.option("--security-policy", metavar="NAME", help="The security policy; default: that of listeners.")
@click.option("--alpn-policy", metavar="NAME", help="The ALPN policy; default: no ALPN.")
@DRY_RUN
@output_option()
@which_daemon
def quick(
    *,
    daemon: Target,
    name: str | None,
    listen: str,
    servers: tuple[str, ...],
    server_group: str | None,
    protocol: str,
    certificate: Path | None,
    private_key: Path | None,
    certificate_name: str | None,
    self_signed: tuple[str, ...],
    security_policy: str | None,
    alpn_policy: str | None,
    dry_run: bool,
    output: str,
) -> None:
    """Create a listener, a server group and a certificate in one step."""
    if bool(servers) == bool(server_group):
        raise click.UsageError("give --server, once for each, or --server-group")
    if (certificate is not None) + bool(certificate_name) + bool(self_signed) != (protocol == TCPSSL):
        raise click.UsageError(
            "a TCPSSL listener takes one of --certificate FILE, --certificate-name and --self-signed"
            if protocol == TCPSSL
            else f"a TCP listener has no TLS and no certificate; use --protocol {TCPSSL}"
        )
    subject = LISTENER.subject(name or "") if name else LISTENER.noun
    files = {"certificate": certificate, "private_key": private_key}
    asked: dict[str, Any] = {
        "protocol": protocol,
        **_endpoint(listen),
        "name": name,
        **with_contents(CERTIFICATE, files, Path(), subject),
        "certificate": certificate_name,
        "self_signed": list(self_signed),
        "security_policy": security_policy,
        "alpn_policy": alpn_policy,
        "server_group": server_group,
        "servers": list(servers),
    }
    body = {key: value for key, value in asked.items() if value not in (None, [])}
    answer = demand(daemon, "POST", "/api/v1/quick", subject, query=dry(dry_run), body=body)
    show_change(answer, output, subject, dry_run=dry_run)


def _endpoint(listen: str) -> dict[str, Any]:
    from fastnlb.cli.block_options import address_and_port  # noqa: PLC0415  with the schema

    address, port = ("0.0.0.0", listen[1:]) if listen.startswith(":") else ("", "")  # noqa: S104  the short form
    if address and port.isascii() and port.isdecimal():
        return {"address": address, "port": int(port)}
    host, number = address_and_port(listen)
    if number is None:
        raise click.UsageError(f"--listen {listen}: a port is needed, as in 127.0.0.1:8443 or [::1]:8443")
    return {"address": host, "port": number}
