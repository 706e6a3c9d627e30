"""The real program in front of real servers, and its numbers read from the shared counter page."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastnlb.stats.page import MEMORY_NAME, STRIDE
from fastnlb.stats.table import NUMBERS
from support.procs import PATIENCE, Program, children, descriptors, free_port, process_name, wait_for

NAMES = [number.name for number in NUMBERS]
ROW = f"={len(NUMBERS)}Q"


LIMITED_START = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
os.execv(sys.executable, [sys.executable, "-m", "fastnlb", *sys.argv[2:]])
"""


class Daemon:
    """`fastnlb` with one listener on loopback; `arguments` are those of the command line."""

    def __init__(self, arguments: Sequence[str], port: int, output: Path, descriptor_limit: int = 0) -> None:
        self.port = port
        self.address = ("127.0.0.1", port)
        start = ["-c", LIMITED_START, str(descriptor_limit)] if descriptor_limit else ["-m", "fastnlb"]
        self.program = Program([*start, *arguments], output)

    def wait_ready(self) -> Daemon:
        self.program.wait_line("ready")
        return self

    @property
    def workers(self) -> list[int]:
        return [pid for pid in children(self.program.pid) if process_name(pid) != "fastnlb:control"]

    def rows(self) -> list[dict[str, int]]:
        """The counter page, a row per worker."""
        return counter_rows(self.program.pid)

    def total(self) -> dict[str, int]:
        rows = self.rows()
        return {name: sum(row[name] for row in rows) for name in rows[0]}

    def wait_numbers(self, seconds: float = PATIENCE, **expected: int) -> dict[str, int]:
        """Until each number named is exactly so; fails with all of them when it never is."""
        try:
            wait_for(lambda: all(self.total()[name] == value for name, value in expected.items()), "", seconds)
        except AssertionError:
            raise AssertionError(f"wanted {expected}, have {self.total()}\n{self.program.output()}") from None
        return self.total()

    def assert_nothing_held(self) -> None:
        """No connection, and nothing of one: descriptors, buffers, TLS objects, timers."""
        self.wait_numbers(connections=0)
        self.wait_numbers(descriptors=0, buffers_lent=0, large_buffers_lent=0, pipes_lent=0, tls_objects=0, timers=0)
        for pid in self.workers:
            assert worker_sockets(pid) == 2, descriptors(pid)


def counter_rows(master: int) -> list[dict[str, int]]:
    """The counter page of a daemon: the rows that a worker has, or had."""
    descriptor = next(fd for fd, what in descriptors(master).items() if MEMORY_NAME in what)
    with Path(f"/proc/{master}/fd/{descriptor}").open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as page:
            rows = [struct.unpack_from(ROW, page, at) for at in range(0, size - size % STRIDE, STRIDE)]
    return [dict(zip(NAMES, row, strict=True)) for row in rows if any(row)]


def worker_sockets(pid: int) -> int:
    """Sockets a worker holds; an idle one has its listening socket and its end of the channel."""
    return sum(what.startswith("socket:") for what in descriptors(pid).values())


def resident_kib(pid: int) -> int:
    """Resident memory of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no memory")


@contextmanager
def quick(
    folder: Path, servers: Sequence[tuple[str, int]], *more: str, workers: int = 2, descriptor_limit: int = 0
) -> Iterator[Daemon]:
    """`fastnlb quick` with the certificate and key in `folder` (Material.write); `more` adds options.

    `descriptor_limit` is the hard limit its processes get; 0 leaves them that of the test.
    """
    port = free_port()
    arguments = ["quick", "--listen", f"127.0.0.1:{port}", "--workers", str(workers)]
    arguments.append("--core-dumps")  # or only root may look at its descriptors
    arguments.append("--no-health-check")  # servers count who comes to them
    for host, server_port in servers:
        arguments += ["--server", f"{host}:{server_port}"]
    if "--protocol" not in more:
        arguments += ["--certificate", str(folder / "server.pem"), "--private-key", str(folder / "server.key")]
    daemon = Daemon([*arguments, *more], port, folder / f"output-{port}", descriptor_limit)
    try:
        yield daemon.wait_ready()
    finally:
        daemon.program.kill()
