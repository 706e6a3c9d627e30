"""`fastnlb demo`: something to try within a second of installing, with nothing to configure.

A web server of our own, a certificate made on the spot, and a TLS listener before it; Ctrl-C ends all of it.
"""

from __future__ import annotations

import os

import click

from fastnlb.cli import log
from fastnlb.cli.demo_server import DemoServer
from fastnlb.cli.options import Endpoint, EndpointType
from fastnlb.cli.quick import quick_snapshot, trial_certificate
from fastnlb.cli.serve import serve
from fastnlb.model import Settings

MOST_WORKERS = 2


@click.command()
@click.option(
    "--listen",
    type=EndpointType(any_address=True),
    default="127.0.0.1:8443",
    show_default=True,
    help="Where clients connect.",
)
@click.pass_context
def demo(context: click.Context, listen: Endpoint) -> None:
    """Serve a demo page over TLS, until Ctrl-C."""
    log.setup("warning", "console")
    try:
        context.exit(_demo(listen))
    except KeyboardInterrupt:
        context.exit(0)


def _demo(listen: Endpoint) -> int:
    server = DemoServer()
    try:
        return serve(
            quick_snapshot(listen, [Endpoint("127.0.0.1", server.port)], trial_certificate(listen)),
            Settings(workers=min(MOST_WORKERS, len(os.sched_getaffinity(0))), shutdown_timeout=5),
            on_ready=lambda: _invite(listen),
            in_child=server.disinherit,
        )
    finally:
        server.close()


def _invite(listen: Endpoint) -> None:
    reachable = Endpoint("::1" if ":" in listen.address else "127.0.0.1", listen.port)
    click.echo("fastnlb is ready. Try:")
    click.echo(f"  curl -k https://{reachable if listen.is_wildcard else listen}/")
