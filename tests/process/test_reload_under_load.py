"""Reloads and deaths under clients that never stop coming: nobody notices, but those whose worker has died."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import servers
from support.closed_loop import CLIENTS, closed_loop
from support.daemon import resident_kib
from support.procs import alive, children, descriptors, free_port, wait_for, wait_steady
from support.site import HEAD, Site, connection, serves

MEBIBYTE_KIB = 1024
PARTED = 2.0  # seconds after which sockets that went are closed


class Changing:
    """A configuration that is another one each time: certificate, servers, limits, timeouts, listeners in turn."""

    def __init__(self, site: Site, servers_: list[tuple[str, int]], port: int, tls: int, extra: int) -> None:
        self.site, self.servers, self.port, self.tls, self.extra = site, servers_, port, tls, extra

    def write(self, number: int) -> None:
        if number % 5 == 0:
            self.site.new_certificate(f"number-{number}.test")
        group = ", ".join(
            f"{{address: {host}, port: {port}, weight: {1 + (number + each) % 7}}}"
            for each, (host, port) in enumerate(self.servers[: 1 + number % 2])
        )
        cps = 0 if number % 3 else 100_000
        limits = f"idle_timeout: {100 + number}, max_connections: {10_000 + number}, cps: {cps}"
        common = "address: 127.0.0.1, server_group: g"
        listeners = [
            f"{{name: plain, protocol: TCP, {common}, port: {self.port}, {limits}}}",
            f"{{name: tls, protocol: TCPSSL, {common}, port: {self.tls}, certificate: www, {limits}}}",
        ]
        if number % 4 == 1:
            listeners.append(f"{{name: extra, protocol: TCP, {common}, port: {self.extra}}}")
        scheduler = ("wrr", "rr", "wlc", "sch")[number % 4]
        draft = self.site.file.with_suffix(".new")
        draft.write_text(
            HEAD
            + "certificates: [{name: www, certificate: www.pem, private_key: www.key}]\n"
            + f"server_groups: [{{name: g, scheduler: {scheduler}, servers: [{group}]}}]\n"
            + f"listeners: [{', '.join(listeners)}]\n"
        )
        draft.replace(self.site.file)  # a reload may be reading it


@pytest.fixture
def changing(site: Site, echo: tuple[str, int], tmp_path: Path) -> Iterator[Changing]:
    with servers.running("echo", tmp_path) as second:
        made = Changing(site, [echo, second], free_port(), free_port(), free_port())
        made.write(0)
        yield made
        if site.program is not None:
            site.program.kill()  # before its servers


@pytest.mark.slow
def test_fifty_reloads_lose_no_connection(site: Site, changing: Changing) -> None:
    site.start()
    with closed_loop(changing.port, seconds=110) as plain, closed_loop(changing.tls, True, seconds=110) as tls:
        for number in range(1, 51):
            changing.write(number)
            site.reload_done()
        plain.wait_more(20)
        tls.wait_more(20)
    assert plain.failures == []
    assert tls.failures == []


def test_reloads_asked_for_faster_than_they_are_done_lose_no_connection(site: Site, changing: Changing) -> None:
    site.start()
    with closed_loop(changing.port) as load:
        # No new certificates: a reload under way could find one of the two files changed, and refuse the pair.
        for number in (each for each in range(1, 26) if each % 5):
            changing.write(number)
            site.reload()
            site.reload()
        wait_steady(lambda: site.count("reload"), "the last reload", quiet=1.0)
        load.wait_more(20)
    assert load.failures == []
    assert site.count("reload refused") == 0


@pytest.mark.slow
def test_a_hundred_reloads_leave_nothing_behind(site: Site, changing: Changing) -> None:
    site.start()
    number = 0

    def reload_times(times: int) -> None:
        nonlocal number
        for _ in range(times):
            number += 1
            changing.write(number)
            site.reload_done()

    def files() -> dict[int, int]:
        return {pid: len(descriptors(pid)) for pid in (site.running.pid, *children(site.running.pid))}

    reload_times(20)
    before, memory = (
        wait_steady(files, "the files held", quiet=PARTED),
        {pid: resident_kib(pid) for pid in site.workers},
    )
    reload_times(100)
    after = wait_steady(files, "the files held", quiet=PARTED)
    assert after.keys() == before.keys(), "a process more or less"
    assert after == before
    for pid, kib in memory.items():
        assert resident_kib(pid) - kib <= MEBIBYTE_KIB


def test_the_death_of_a_worker_costs_only_the_connections_that_it_had(site: Site, changing: Changing) -> None:
    site.start()
    with closed_loop(changing.port) as load:
        for _ in range(3):
            load.wait_more(30)
            dead = site.workers[0]
            os.kill(dead, signal.SIGKILL)
            wait_for(lambda dead=dead: dead not in site.workers and len(site.workers) == 2, "the heir")
        load.wait_more(30)
    assert len(load.failures) <= 3 * CLIENTS
    # Whoever waits in the queue of a worker that is gone is served by its heir.
    assert [str(failure) for failure in load.failures if failure.step == "connect"] == []


def test_the_death_of_control_costs_nothing(site: Site, changing: Changing) -> None:
    site.start()
    with closed_loop(changing.port) as load:
        for times in range(2, 5):
            os.kill(site.control, signal.SIGKILL)
            site.wait_count("control started", times)
            load.wait_more(20)
    assert load.failures == []


def test_after_the_death_of_the_master_its_workers_end_and_the_next_one_has_the_port_at_once(site: Site) -> None:
    port = free_port()
    site.write(port)
    first = site.start()
    workers = [*site.workers, site.control]
    with connection(port) as exchange:
        first.signal(signal.SIGKILL)
        first.wait_exit()
        site.start()
        assert serves(port)
        assert exchange(b"still served") == b"still served"
    wait_for(lambda: not any(map(alive, workers)), "the orphans to end")
