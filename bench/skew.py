"""How evenly the kernel spreads long-lived connections over workers: `python -m bench.skew --rounds 10`.

The kernel chooses the socket by a hash of the addresses and ports, so each worker's share is a matter of chance; what
a worker holds is another matter once one of them has died and its heir begins with nothing.  Printed are the largest
share as a multiple of the mean (mean over the rounds, and the worst), and what a hand-over to the least loaded worker
would have to do to keep it within 1.25.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import resource
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.processes import free_port, wait_listening
from fastnlb.stats.page import MEMORY_NAME, STRIDE, Page

WORKERS = (2, 4)
BOUND = 1.25
PAUSE = 0.002
CONTROL = "fastnlb:control"


class Daemon:
    """`fastnlb quick` on plain TCP, and the connections of each of its workers."""

    def __init__(self, workers: int, origin: int) -> None:
        self.port = free_port()
        arguments = ["--listen", f"127.0.0.1:{self.port}", "--server", f"127.0.0.1:{origin}", "--protocol", "TCP"]
        command = [sys.executable, "-m", "fastnlb", "quick", *arguments, "--workers", str(workers), "--core-dumps"]
        self._process = subprocess.Popen([*command, "--no-health-check"], stderr=subprocess.DEVNULL)
        wait_listening(self.port)
        self._page = self._counters()

    def _counters(self) -> Page:
        folder = Path(f"/proc/{self._process.pid}/fd")
        path = next(each for each in folder.iterdir() if MEMORY_NAME in str(each.readlink()))
        descriptor = os.open(path, os.O_RDWR)
        return Page(descriptor, os.fstat(descriptor).st_size // STRIDE)

    def shares(self) -> list[int]:
        return [self._page.row(row)["connections"] for row in range(self._page.rows)]

    def settle(self, total: int) -> list[int]:
        """Once so many connections are open over all workers."""
        deadline = time.monotonic() + 20
        while sum(self.shares()) != total and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.shares()

    def kill_a_worker(self) -> None:
        """As a crash would; the first in the list of children that holds connections."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in children}
        os.kill(int(next(pid for pid, name in names.items() if name != CONTROL)), signal.SIGKILL)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(40)


class Clients:
    """Connections that stay open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.open: list[socket.socket] = []

    def come(self, count: int, pause: float = 0.0) -> None:
        for _ in range(count):
            self.open.append(socket.create_connection(("127.0.0.1", self._port), timeout=20))
            time.sleep(pause)

    def go(self, count: int) -> None:
        random.shuffle(self.open)
        for _ in range(count):
            self.open.pop().close()

    def come_again(self) -> int:
        """Those whose connection was ended connect again; how many they were."""
        poller = select.poll()
        for sock in self.open:
            poller.register(sock, select.POLLIN)
        gone = {descriptor for descriptor, _ in poller.poll(0)}
        lost = [sock for sock in self.open if sock.fileno() in gone]
        self.open = [sock for sock in self.open if sock.fileno() not in gone]
        for sock in lost:
            sock.close()
        self.come(len(lost))
        return len(lost)


def slowly(daemon: Daemon, clients: Clients, count: int) -> None:
    clients.come(count, PAUSE)


def quickly(daemon: Daemon, clients: Clients, count: int) -> None:
    clients.come(count)


def waves(daemon: Daemon, clients: Clients, count: int) -> None:
    clients.come(count)
    for _ in range(10):
        clients.go(count // 2)
        daemon.settle(count - count // 2)
        clients.come(count // 2)


def crash(daemon: Daemon, clients: Clients, count: int) -> None:
    clients.come(count)
    daemon.settle(count)
    daemon.kill_a_worker()
    deadline = time.monotonic() + 10
    while not clients.come_again() and time.monotonic() < deadline:
        time.sleep(0.05)


def crash_and_turnover(daemon: Daemon, clients: Clients, count: int) -> None:
    """Then as many connections as there are end and come again, a tenth at a time."""
    crash(daemon, clients, count)
    for _ in range(10):
        daemon.settle(count)
        clients.go(count // 10)
        daemon.settle(count - count // 10)
        clients.come(count // 10)


SCENES: tuple[Callable[[Daemon, Clients, int], None], ...] = (slowly, quickly, waves, crash, crash_and_turnover)


def play(scene: Callable[[Daemon, Clients, int], None], workers: int, count: int, origin: int) -> list[int]:
    """The shares at the end."""
    daemon = Daemon(workers, origin)
    clients = Clients(daemon.port)
    try:
        daemon.settle(0)
        scene(daemon, clients, count)
        return daemon.settle(count)
    finally:
        clients.go(len(clients.open))
        daemon.stop()


def excess(shares: list[int]) -> float:
    return max(shares) / statistics.mean(shares)


def row(scene: Callable[[Daemon, Clients, int], None], workers: int, count: int, rounds: int, origin: int) -> str:
    found = [play(scene, workers, count, origin) for _ in range(rounds)]
    worst = max(found, key=excess)
    name = scene.__name__.replace("_", " ")
    over = max(0, round(max(worst) - BOUND * statistics.mean(worst)))
    mean = statistics.mean(map(excess, found))
    return f"| {name} | {workers} | {mean:.2f} | {excess(worst):.2f} | {sorted(worst)} | {over} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("names", nargs="*", help="scenes whose name contains one of these; default: all")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{datetime.date.today()}: {options.connections} connections, {options.rounds} rounds")
    print("| connections | workers | max / mean | worst | its shares | above 1.25 x mean |")
    print("|---|---|---|---|---|---|")
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as origin:
        port = origin.getsockname()[1]
        origin_process = os.fork()
        if not origin_process:
            hold(origin)
        try:
            for scene in SCENES:
                if not options.names or any(name in scene.__name__ for name in options.names):
                    for workers in WORKERS:
                        print(row(scene, workers, options.connections, options.rounds, port), flush=True)
        finally:
            os.kill(origin_process, signal.SIGKILL)
            os.waitpid(origin_process, 0)


def hold(origin: socket.socket) -> None:
    """The server: it takes every connection and keeps it until its client ends it."""
    poller = select.epoll()
    poller.register(origin, select.EPOLLIN)
    held: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == origin.fileno():
                sock, _ = origin.accept()
                held[sock.fileno()] = sock
                poller.register(sock, select.EPOLLIN)
            else:
                held.pop(descriptor).close()


if __name__ == "__main__":
    main()
