"""The origin in a process of its own, and fastnlb in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.certs import Material
from support.daemon import Daemon, quick
from support.procs import Program, program


@pytest.fixture
def origin_program(tmp_path: Path) -> Iterator[tuple[Program, int]]:
    """The process, and the port that it listens on."""
    with program(["-m", "bench.origin", "127.0.0.1", "0"], tmp_path / "origin") as running:
        yield running, int(running.wait_line(r"\d+"))


@pytest.fixture
def origin_port(origin_program: tuple[Program, int]) -> int:
    return origin_program[1]


@pytest.fixture
def proxy(tmp_path: Path, material: Material, origin_port: int) -> Iterator[Callable[..., Daemon]]:
    """proxy(*options) starts one with one worker before the origin; if it lives to its end, it must hold nothing."""
    material.write(tmp_path)
    with ExitStack() as stack:
        started = []

        def start(*options: str) -> Daemon:
            started.append(stack.enter_context(quick(tmp_path, [("127.0.0.1", origin_port)], *options, workers=1)))
            return started[-1]

        yield start
        for each in started:
            if each.program.exit_code is None:
                each.assert_nothing_held()
