"""The metrics of the real program: they add up, and nothing that was counted is ever taken back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from support.lineage import Lineage
from support.procs import alive, free_port, wait_for
from support.scrape import Scraper, Series, counters, parse, value
from support.site import connection, tls_client
from support.tls_client import TlsClient


class Served:
    """A daemon with a plain listener `l0` and one with TLS, and how many connections were made to each."""

    def __init__(self, line: Lineage) -> None:
        self.line = line
        self.plain, self.tls = free_port(), free_port()
        self.made = {"l0": 0, "tls": 0}
        self.configure()
        line.start()
        self.scraper = Scraper(line)

    def configure(self, plain: bool = True) -> None:
        self.line.write(*([self.plain] if plain else []), tls=self.tls, head=self.line.head)

    def visit(self, count: int = 10, plain: bool = True) -> None:
        for _ in range(count):
            if plain:
                self.made["l0"] += 1
                with connection(self.plain):
                    pass
            self.made["tls"] += 1
            with tls_client(self.tls) as sock:
                sock.sendall(b"hello")
                assert sock.recv(5) == b"hello"

    def value(self, name: str, **labels: str) -> float:
        return value(self.scraper.samples(), name, **labels)

    def wait_value(self, wanted: float, name: str, **labels: str) -> None:
        try:
            wait_for(lambda: self.value(name, **labels) == wanted, "")
        except AssertionError:
            found = self.scraper.scrape().decode()
            raise AssertionError(f"{name} {labels} is not {wanted}:\n{found}") from None


@pytest.fixture
def served(line: Lineage) -> Served:
    return Served(line)


class Watch(threading.Thread):
    """Scrapes without a pause; `fell` are the counters that were ever seen to go down or away."""

    def __init__(self, scraper: Scraper) -> None:
        super().__init__(daemon=True)
        self._scraper = scraper
        self._enough = threading.Event()
        self.hidden: set[str] = set()
        """Listeners that are not in the configuration at this moment."""
        self.high: dict[Series, float] = {}
        self.fell: list[tuple[Series, float, float | None]] = []
        self.scrapes = 0

    def run(self) -> None:
        while not self._enough.is_set():
            self.look()

    def look(self) -> None:
        hidden = set(self.hidden)
        now = counters(self._scraper.samples())
        hidden |= self.hidden  # a listener may come or go while the answer is on its way
        for series, high in self.high.items():
            there = now.get(series)
            may_miss = dict(series[1]).get("listener") in hidden
            if (there is None and not may_miss) or (there is not None and there < high):
                self.fell.append((series, high, there))
        self.high.update(now)
        self.scrapes += 1

    def end(self) -> None:
        self._enough.set()
        self.join(30)
        assert not self.is_alive()


@pytest.fixture
def watch(served: Served) -> Iterator[Watch]:
    made = Watch(served.scraper)
    made.start()
    yield made
    made.end()


@pytest.mark.slow
def test_no_counter_goes_down_and_every_connection_is_counted(served: Served, watch: Watch) -> None:
    served.visit()
    _lose_a_worker(served)
    served.visit()

    watch.hidden.add("l0")
    served.configure(plain=False)
    served.line.reload_done()
    served.visit(plain=False)
    served.configure()
    served.line.reload_done()
    watch.hidden.clear()
    served.visit()

    for _ in range(3):
        before = served.line.master
        served.line.upgrade()
        served.visit()
        wait_for(lambda before=before: not alive(before), "the old process to end")  # type: ignore[misc]
        served.visit()

    for listener, made in served.made.items():
        served.wait_value(made, "listener_connections_accepted_total", listener=listener)
        served.wait_value(made, "listener_connections_closed_total", listener=listener)
        served.wait_value(0, "listener_connections", listener=listener)
    served.wait_value(sum(served.made.values()), "worker_accepted_total")
    served.wait_value(sum(served.made.values()), "server_connects_total")
    served.wait_value(served.made["tls"], "listener_handshakes_total")
    served.wait_value(served.made["tls"], "listener_handshake_seconds_count")
    served.wait_value(sum(served.made.values()), "listener_connect_seconds_count")
    watch.end()
    assert watch.scrapes > 20
    assert watch.fell == []


def _lose_a_worker(served: Served) -> None:
    """With a connection that is open in it."""
    started = served.line.count("worker 0 started") + served.line.count("worker 1 started")
    served.made["l0"] += 1
    with socket.create_connection(("127.0.0.1", served.plain), timeout=10) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        for pid in served.line.workers:
            os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda: served.line.count("worker 0 started") + served.line.count("worker 1 started") == started + 2,
            "the heirs",
        )
    served.wait_value(1, "listener_connections_closed_total", listener="l0", reason="crash")
    served.wait_value(0, "listener_connections", listener="l0")
    served.wait_value(1, "worker_closed_crash_total")
    served.wait_value(4, "worker_starts_total")


def test_while_the_old_process_drains_its_numbers_grow(served: Served) -> None:
    with connection(served.plain) as exchange:
        served.line.upgrade()
        served.wait_value(1, "listener_connections", listener="l0")
        served.wait_value(5, "listener_bytes_total", listener="l0", direction="up")
        assert exchange(b"more") == b"more"
        served.wait_value(9, "listener_bytes_total", listener="l0", direction="up")
        assert served.value("draining_processes") == 1
    served.wait_value(0, "draining_processes")
    served.wait_value(0, "listener_connections", listener="l0")
    assert served.value("listener_bytes_total", listener="l0", direction="down") == 9


def test_what_an_old_process_held_when_it_was_killed_is_not_held_any_more(served: Served) -> None:
    old = served.line.master
    with connection(served.plain):
        served.line.upgrade()
        served.wait_value(1, "worker_connections")
        for pid in served.line.processes():
            if pid == old:
                os.kill(pid, signal.SIGKILL)
        served.wait_value(0, "listener_connections", listener="l0")
        served.wait_value(0, "worker_connections")
        assert served.value("listener_connections_accepted_total", listener="l0") == 1


def test_what_clients_agreed_on(served: Served) -> None:
    for version, suite in (("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"), ("TLSv1.3", "TLS_AES_128_GCM_SHA256")):
        client = TlsClient(("127.0.0.1", served.tls), version, ciphers=suite)
        client.handshake()
        client.close()
        served.wait_value(1, "listener_handshakes_total", version=version, resumed="no")
        served.wait_value(1, "listener_handshake_ciphers_total", cipher=suite)


def test_promtool_finds_nothing_wrong_with_a_scrape(served: Served) -> None:
    served.visit(3)
    with socket.create_connection(("127.0.0.1", served.tls), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while sock.recv(1000):
            pass
    served.wait_value(1, "listener_handshake_failures_total", listener="tls", reason="not_tls")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=served.scraper.scrape(), capture_output=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_processes_are_told_apart(served: Served) -> None:
    samples = parse(served.scraper.scrape())
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_threads"):
        roles = sorted(dict(has)["role"] for called, has in samples if called == f"fastnlb_{name}")
        assert roles == ["control", "master", "worker", "worker"]
