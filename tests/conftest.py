"""Fixtures every test may use: certificates made once, rigs and backends that clean up after themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.certs import Material, make_material


@pytest.fixture(scope="session")
def material() -> Material:
    """A certificate authority and server certificates of each key type, made once."""
    return make_material()


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
