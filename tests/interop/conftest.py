"""What outside clients meet: one daemon for all tests that leave it whole, and what they may be skipped for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import servers
from support.estate import KEYS, Estate, Papers, estate
from support.procs import command

HERE = Path(__file__).parent
NODE_ORIGIN = "node"


def where_present(program: str) -> str:
    """Its path; without it the test is skipped.  For programs that CI does not install, and for no others."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed here")
    return found


@pytest.fixture(params=KEYS)
def key(request: pytest.FixtureRequest) -> str:
    """The type of the server's key; a test that takes it runs with each."""
    return str(request.param)


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="session")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, int]]]:
    """Ours, and Node's HTTP/2 without TLS on machines that have Node."""
    folder = tmp_path_factory.mktemp("origins")
    with ExitStack() as running:
        found = {"tongues": running.enter_context(servers.running("tongues", folder))}
        if node := shutil.which("node"):
            started = running.enter_context(command([node, str(HERE / "origin.cjs")], folder / "node"))
            found[NODE_ORIGIN] = ("127.0.0.1", int(started.wait_line(r"\d+")))
        yield found


@pytest.fixture(scope="session")
def site(
    papers: Papers, origins: dict[str, tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Estate]:
    with estate(papers, tmp_path_factory.mktemp("estate"), origins) as made:
        yield made


@pytest.fixture
def own_site(papers: Papers, origins: dict[str, tuple[str, int]], tmp_path: Path) -> Iterator[Estate]:
    """For a test that breaks something of it."""
    with estate(papers, tmp_path, origins) as made:
        yield made


@pytest.fixture(scope="session")
def node() -> str:
    return where_present("node")


@pytest.fixture(scope="session")
def go() -> str:
    return where_present("go")
