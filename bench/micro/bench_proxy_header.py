"""The PROXY protocol header: written for a server without and with TLVs, and parsed from a client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastnlb._core._testing_proxy import parse_proxy_header, proxy_header

from fastnlb.worker.proxy import FLAGS

COUNT = 1000
ROOM = 4096  # all of the probe's buffer, so that it has nothing to check behind it
SOURCE, TARGET = (bytes([10, 0, 0, 1]), 40000), (bytes([10, 0, 0, 2]), 443)
SPANS = {"alpn": b"h2", "authority": b"www.example.com"}
KINDS = {"addresses": ((), {}), "names": (("alpn", "authority"), SPANS), "checksum": (("crc32c",), {})}


@pytest.mark.parametrize("kind", list(KINDS))
def bench_write(many: Callable[[Callable[[], object], int], None], kind: str) -> None:
    names, spans = KINDS[kind]
    flags = sum(FLAGS[name] for name in names)

    def write() -> None:
        for _ in range(COUNT):
            proxy_header(SOURCE, TARGET, flags, ROOM, **spans)

    many(write, COUNT)


def bench_parse(many: Callable[[Callable[[], object], int], None]) -> None:
    header = proxy_header(SOURCE, TARGET)

    def parse() -> None:
        for _ in range(COUNT):
            parse_proxy_header(header)

    many(parse, COUNT)
