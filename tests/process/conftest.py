"""What tests of the real program start from: an echo server, and a folder with a daemon in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import servers
from support.site import Site


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with servers.running("echo", tmp_path_factory.mktemp("echo")) as address:
        yield address


@pytest.fixture
def site(tmp_path: Path, echo: tuple[str, int]) -> Iterator[Site]:
    made = Site(tmp_path, echo)
    yield made
    if made.program is not None:
        made.program.kill()
        assert "Traceback" not in made.program.output()
