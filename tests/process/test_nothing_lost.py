"""No connection is lost by what happens to listening sockets: the real program under a closed loop of new ones."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import servers, stream
from support.closed_loop import Load, closed_loop
from support.netns import needs_namespaces
from support.own_network import own_network
from support.procs import free_port, listening_inodes, process_name, wait_for
from support.site import HEAD, Site, serves

BULK = 200 * stream.MEGABYTE
PATIENCE = 60.0  # seconds; a machine that is busy with the loops has little left for who watches them
MOST, PAUSE = 100_000, 0.01


def head(workers: int) -> str:
    return HEAD.replace("workers: 2", f"workers: {workers}")


def serving(site: Site) -> list[int]:
    """The workers, those that drain included."""
    return [pid for pid in site.workers if process_name(pid).startswith("fastnlb:w")]


def resized(site: Site, ports: list[int], count: int) -> None:
    wait_for(
        lambda: len(serving(site)) == count and all(len(listening_inodes(port)) == count for port in ports),
        f"{count} workers, each with its sockets",
        PATIENCE,
    )


@contextmanager
def both(plain: int, tls: int) -> Iterator[Callable[[int], None]]:
    """A closed loop on each listener, in which nothing may fail; the value waits for so many more connections."""
    with (
        closed_loop(plain, most=MOST, seconds=100, pause=PAUSE) as load,
        closed_loop(tls, tls=True, clients=2, most=MOST, seconds=100, pause=PAUSE) as tls_load,
    ):

        def more(connections: int) -> None:
            load.wait_more(connections)
            tls_load.wait_more(max(1, connections // 10))

        yield more
    faultless(load, tls_load)


def faultless(*loads: Load) -> None:
    for load in loads:
        assert not load.failures, [*map(str, load.failures[:10])]


def by_signals(site: Site, _ports: tuple[int, int], old: int, new: int) -> None:
    for _ in range(abs(new - old)):
        before = site.count("master: workers: ")
        site.running.signal(signal.SIGTTIN if new > old else signal.SIGTTOU)
        site.wait_count("master: workers: ", before + 1)


def by_reload(site: Site, ports: tuple[int, int], _old: int, new: int) -> None:
    site.write(ports[0], tls=ports[1], head=head(new))
    site.reload()


Change = Callable[[Site, tuple[int, int], int, int], None]


def through_all_sizes(site: Site, change: Change) -> None:
    ports = free_port(), free_port()
    site.write(ports[0], tls=ports[1])
    site.start()
    with both(*ports) as more:
        count = 2
        for wanted in (4, 1, 3):
            more(60)
            change(site, ports, count, wanted)
            resized(site, [*ports], wanted)
            count = wanted
        more(60)


@pytest.mark.parametrize("change", [by_signals, by_reload])
def test_the_number_of_workers_changes(site: Site, change: Change) -> None:
    through_all_sizes(site, change)


def test_no_privilege_is_needed(site: Site) -> None:
    site.wrapper = ("-m", "support.own_network")
    through_all_sizes(site, by_signals)


@needs_namespaces
@pytest.mark.parametrize("migrate", ["0", "1"])
def test_whether_or_not_the_kernel_moves_requests_on(tmp_path: Path, migrate: str) -> None:
    with own_network():
        Path("/proc/sys/net/ipv4/tcp_migrate_req").write_text(migrate, "ascii")
        with servers.running("echo", tmp_path) as echo:
            site = Site(tmp_path, echo)
            try:
                through_all_sizes(site, by_signals)
            finally:
                site.running.kill()


def test_a_transfer_outlives_its_worker(site: Site, tmp_path: Path) -> None:
    """The worker that has it is retired, and another sits in its place before it ends."""
    port = free_port()
    results: list[tuple[bytes, bytes]] = []

    def transfer() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            results.append(stream.exchange(sock, BULK, BULK))

    (tmp_path / "mirror").mkdir()
    with servers.running("mirror", tmp_path / "mirror") as mirror:
        site.write(port, server=mirror, head=HEAD.replace("shutdown_timeout: 5", "shutdown_timeout: 60"))
        site.start()
        threads = [
            threading.Thread(target=transfer, daemon=True) for _ in range(4)
        ]  # each worker has one, or most do
        for thread in threads:
            thread.start()
        for number in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTIN):
            before = site.count("master: workers: ")
            site.running.signal(number)
            site.wait_count("master: workers: ", before + 1)
        for thread in threads:
            thread.join(60)
        assert results == [(stream.digest(BULK), stream.digest(BULK))] * 4
        resized(site, [port], 2)


def test_reloads_lose_no_connection(site: Site) -> None:
    plain, tls = free_port(), free_port()
    site.write(plain, tls=tls)
    site.start()
    with both(plain, tls) as more:
        for _ in range(3):
            more(40)
            site.write(plain, free_port(), tls=tls)
            site.reload_done()


def test_killed_workers_cost_only_what_they_had(site: Site) -> None:
    """Connections that were open in it are reset; those that come meanwhile wait for nobody."""
    plain, tls = free_port(), free_port()
    site.write(plain, tls=tls)
    site.start()
    with closed_loop(plain, clients=1) as load:
        load.wait_more(30)
        for _ in range(3):
            victim = serving(site)[-1]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: victim not in site.workers, "an heir")
            load.wait_more(30)
    assert all(failure.step in ("send", "receive", "end") for failure in load.failures), load.failures
    assert len(load.failures) <= 3
    assert load.slowest < 5


def test_a_listener_that_is_removed_serves_who_had_come_and_comes_back(site: Site) -> None:
    kept, moving = free_port(), free_port()
    site.write(kept, moving)
    site.start()
    with closed_loop(kept) as load, closed_loop(moving) as visitors:
        for _ in range(3):
            load.wait_more(30)
            visitors.wait_more(5)
            site.write(kept)
            site.reload_done()
            site.write(kept, moving)
            site.reload_done()
            visitors.wait_more(5)
        site.write(kept)
        site.reload_done()
        wait_for(lambda: not listening_inodes(moving), "the removed sockets to close")
        visitors.stop()
        site.write(kept, moving)
        site.reload_done()
        assert serves(moving)
    faultless(load)
    assert {(failure.step, failure.what.partition(":")[0]) for failure in visitors.failures} <= {
        ("connect", "ConnectionRefusedError")
    }, [*map(str, visitors.failures[:10])]
