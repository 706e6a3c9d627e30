"""The fixture of these benchmarks: `many(work, count)` runs work(), which does `count` things; ns for one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def many(benchmark: Any) -> Callable[[Callable[[], object], int], None]:
    def run(work: Callable[[], object], count: int) -> None:
        benchmark(work)
        if benchmark.stats is not None:  # None when benchmarks are switched off
            benchmark.extra_info["ns_each"] = round(benchmark.stats.stats.median / count * 1e9, 1)

    return run
