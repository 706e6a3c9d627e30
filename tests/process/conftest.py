"""What tests of the real program start from: an echo server, and a folder with a daemon in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import servers
from support.api import Managed
from support.lineage import Lineage
from support.procs import Program
from support.site import Site
from support.tiny_client import Start


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with servers.running("echo", tmp_path_factory.mktemp("echo")) as address:
        yield address


@pytest.fixture
def site(tmp_path: Path, echo: tuple[str, int]) -> Iterator[Site]:
    made = Site(tmp_path, echo)
    yield made
    made.end()


@pytest.fixture
def managed(tmp_path: Path, echo: tuple[str, int]) -> Iterator[Managed]:
    """A daemon in store mode that runs."""
    made = Managed(tmp_path, echo)
    made.start()
    yield made
    made.end()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a tiny daemon, steered by files in tmp_path: start(workers, port, ..., KEY=value)."""
    started: list[Program] = []

    def begin(workers: int, *ports: int, **env: str) -> Program:
        arguments = ["-m", "support.tiny_daemon", str(tmp_path), str(workers), *map(str, ports)]
        started.append(Program(arguments, tmp_path / f"stderr-{len(started)}", env))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


@pytest.fixture
def line(tmp_path: Path, echo: tuple[str, int]) -> Iterator[Lineage]:
    made = Lineage(tmp_path, echo)
    yield made
    made.end()
