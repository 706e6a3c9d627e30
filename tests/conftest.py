"""Fixtures every test may use: certificates made once, rigs and backends that clean up after themselves."""

from __future__ import annotations

import fastnlb  # noqa: F401  before anything that loads the TLS library

# isort: split
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.certs import Material, make_material
from support.proxy_header import Header, announced_echo


@pytest.fixture(scope="session")
def material() -> Material:
    """A certificate authority and server certificates of each key type, made once."""
    return make_material()


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def version(request: pytest.FixtureRequest) -> str:
    """A test that takes it runs with each."""
    return str(request.param)


@pytest.fixture
def backend() -> Iterator[Callable[..., Any]]:
    """backend(handler) starts a server of the test."""
    from support.rig import Backend  # noqa: PLC0415  tests of the control side need no built core

    made: list[Backend] = []

    def start(handler: Callable[..., None], **options: Any) -> Backend:
        made.append(Backend(handler, **options))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def headers() -> list[Header]:
    """Those that `origin` was sent."""
    return []


@pytest.fixture
def origin(backend: Callable[..., Any], headers: list[Header]) -> Any:
    """A server that demands a PROXY protocol header and echoes what follows."""
    return backend(announced_echo(headers))


@pytest.fixture
def rig(backend: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """rig(servers, context) starts an Engine; at the end everything it allocated must have been given back."""
    from support.rig import Rig  # noqa: PLC0415

    made: list[Rig] = []

    def start(servers: list[tuple[str, int]], context: Any = None, **options: Any) -> Rig:
        made.append(Rig(servers, context, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def tls_rig(backend: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """tls_rig(certificates, **listener) starts an Engine that terminates TLS in front of an echo server."""
    from support.rig import echo  # noqa: PLC0415
    from support.tls_rig import TlsRig  # noqa: PLC0415

    made: list[TlsRig] = []

    def start(certificates: Any, **options: Any) -> TlsRig:
        made.append(TlsRig([backend(echo).address], certificates, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address where SYNs get no answer: a listening socket whose queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    yield listener.getsockname()
    for filler in fillers:
        filler.close()
    listener.close()
