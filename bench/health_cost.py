"""Processor time of the control process with 1,000 servers under health checks at the default interval.

The servers are addresses of 127.0.0.0/8 on one port of an accepting process, so nothing leaves the machine.  Measured
is the share of one processor that control uses over some intervals, once every server has been probed; the target is
under 5 %.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import free_port
from bench.procfs import processor_ns

TARGET = 0.05
INTERVAL = 5  # the default
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"


def serve(listener: socket.socket) -> None:
    """Accepts, answers whoever asks, and forgets."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(1)
            try:
                if connection.recv(1000):
                    connection.sendall(ANSWER)
            except OSError:
                pass  # a TCP check


@contextmanager
def origin() -> Iterator[int]:
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as listener:  # noqa: S104 - all of 127.0.0.0/8
        pid = os.fork()
        if pid == 0:
            serve(listener)
        try:
            yield listener.getsockname()[1]
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def configuration(kind: str, servers: int, port: int) -> str:
    listed = "".join(
        f"      - {{address: 127.1.{number // 250}.{number % 250 + 1}, port: {port}}}\n" for number in range(servers)
    )
    return (
        "version: 1\nworkers: 1\ncore_dumps: true\n"
        f"server_groups:\n  - name: g\n    health_check: {{type: {kind}}}\n    servers:\n{listed}"
        f"listeners: [{{name: l, protocol: TCP, address: 127.0.0.1, port: {free_port()}, server_group: g}}]\n"
    )


@contextmanager
def daemon(text: str) -> Iterator[int]:
    """The pid of its control process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fastnlb.yaml"
        file.write_text(text)
        command = [sys.executable, "-m", "fastnlb", "run", "-c", str(file)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
            try:
                line = next(line for line in started.stderr or () if "control started" in line)
                yield int(line.partition("(pid ")[2].partition(")")[0])
            finally:
                started.terminate()


def measure(kind: str, servers: int, intervals: int) -> float:
    """The share of one processor."""
    with origin() as port, daemon(configuration(kind, servers, port)) as control:
        time.sleep(1.5 * INTERVAL)
        before, begin = processor_ns(control), time.monotonic()
        time.sleep(intervals * INTERVAL)
        return (processor_ns(control) - before) / 1e9 / (time.monotonic() - begin)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--intervals", type=int, default=4)
    options = parser.parse_args()
    shares = {kind: measure(kind, options.servers, options.intervals) for kind in ("TCP", "HTTP")}
    for kind, share in shares.items():
        each = share * INTERVAL / options.servers * 1e6
        print(f"{kind:5} {options.servers} servers: {share:.2%} of one processor, {each:.0f} us per probe")
    return int(max(shares.values()) > TARGET)


if __name__ == "__main__":
    sys.exit(main())
