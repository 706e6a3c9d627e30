"""Finding the certificate for the name that a client asks for, among few and among many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastnlb._core._testing import NamesProbe

from bench.certificates import host

LOOKUPS = 1000


@pytest.mark.parametrize("kind", ["exact", "wildcard", "unknown"])
@pytest.mark.parametrize("count", [1, 100, 10_000])
def bench_find(many: Callable[[Callable[[], object], int], None], count: int, kind: str) -> None:
    known = [host(number).encode() for number in range(count)]
    asked = {"exact": known, "wildcard": known, "unknown": [b"nobody.example.org"]}[kind]
    probe = NamesProbe([b"*." + name.partition(b".")[2] for name in known[:1]] if kind == "wildcard" else known)
    wanted = [asked[number * 7919 % len(asked)] for number in range(LOOKUPS)]

    def look() -> None:
        for name in wanted:
            probe.find(name)

    many(look, LOOKUPS)
