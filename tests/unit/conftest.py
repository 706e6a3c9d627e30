"""Fixtures of the unit tests: what was logged, and that nothing stays open."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from support.procs import descriptors


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What was logged from INFO on."""
    with caplog.at_level(logging.INFO, "fastnlb"):
        yield caplog


@pytest.fixture
def every_descriptor_closed() -> Iterator[None]:
    """Fails a test that leaves a descriptor of this process behind."""
    before = descriptors(os.getpid())
    yield
    assert descriptors(os.getpid()) == before, "a descriptor leaked"
