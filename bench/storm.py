"""New clients at a steady rate, whatever becomes of them: `python storm.py KIND PORT RATE SECONDS`.

KIND is `full` (a handshake, then the end), `half` (a ClientHello and nothing after it) or `silent` (not a byte).  The
last two stay for HOLD seconds.  Prints a line of JSON: how many came, completed and failed, and how long a completed
handshake took in ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import statistics
import sys
import time

HOLD = 2.0
PATIENCE = 5.0


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_hello(context: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


class Storm:
    """Counts what becomes of its clients."""

    def __init__(self, kind: str, port: int) -> None:
        self._port = port
        self._context = client_context()
        self._first = client_hello(self._context) if kind == "half" else b""
        self._visit = self._full if kind == "full" else self._stay
        self.came = self.failed = 0
        self.took: list[float] = []

    async def client(self) -> None:
        self.came += 1
        try:
            await asyncio.wait_for(self._visit(), PATIENCE)
        except (OSError, TimeoutError):
            self.failed += 1

    async def _full(self) -> None:
        start = time.perf_counter()
        _, writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._context)
        self.took.append(time.perf_counter() - start)
        writer.transport.abort()

    async def _stay(self) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._first)
            await asyncio.sleep(HOLD)
        finally:
            writer.transport.abort()

    async def blow(self, rate: int, seconds: float) -> None:
        start = time.perf_counter()
        visits = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            visits.append(asyncio.create_task(self.client()))
        await asyncio.wait(visits, timeout=0.1)
        for visit in visits:
            visit.cancel()

    def report(self) -> dict[str, float]:
        took = sorted(self.took) or [0.0]
        return {
            "came": self.came,
            "completed": len(self.took),
            "failed": self.failed,
            "median_ms": 1e3 * statistics.median(took),
            "p99_ms": 1e3 * took[len(took) * 99 // 100],
        }


def main(kind: str, port: str, rate: str, seconds: str) -> None:
    storm = Storm(kind, int(port))
    asyncio.run(storm.blow(int(rate), float(seconds)))
    print(json.dumps(storm.report()))


if __name__ == "__main__":
    main(*sys.argv[1:])
