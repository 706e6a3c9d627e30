"""Loading a certificate and its key from their files, of which a start may have ten thousand; and finding it kept.

The library's own validation of an RSA key alone would take 37 ms (fastnlb/tls/keys.py has what is done in its
place).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.certificates import serving
from fastnlb.tls.cache import MaterialCache
from fastnlb.tls.material import load_pair

LOADS = 10


@pytest.mark.parametrize("kind", ["ecdsa", "rsa2048"])
def bench_load_pair(many: Callable[[Callable[[], object], int], None], tmp_path: Path, kind: str) -> None:
    both = serving(tmp_path, kind)

    def load() -> None:
        for _ in range(LOADS):
            load_pair(both)

    many(load, LOADS)


def bench_kept_pair(many: Callable[[Callable[[], object], int], None], tmp_path: Path) -> None:
    both = serving(tmp_path, "ecdsa")
    cache = MaterialCache()
    cache.pair(both)

    def ask() -> None:
        for _ in range(LOADS):
            cache.pair(both)

    many(ask, LOADS)
