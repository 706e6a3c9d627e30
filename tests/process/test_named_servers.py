"""Host names as servers with the real program: a name server that the test commands, and traffic that follows it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.dns_server import NXDOMAIN, SERVFAIL, SILENT, NameServer, name_server
from support.namesakes import namesakes, told_connection, who_answers
from support.procs import free_port, program, wait_for
from support.site import HEAD, Site

NAME = "app.test"
ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


QUICK_WITH_NAME_SERVER = """
import sys
from dataclasses import replace
from fastnlb.cli import log, quick
from fastnlb.model import Resolver
serve, place = quick.serve, ("127.0.0.1", int(sys.argv.pop(1)))
ours = Resolver((place,), 1, 1)
quick.serve = lambda snapshot, *rest, **more: serve(replace(snapshot, resolver=ours), *rest, **more)
quick.quick()
"""


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with name_server() as started:
        started.records[NAME] = [ONE, TWO]
        yield started


@pytest.fixture
def server_port() -> Iterator[int]:
    with namesakes(ONE, TWO, THREE) as port:
        yield port


@pytest.fixture
def write(site: Site, dns: NameServer, server_port: int) -> Callable[..., None]:
    """Writes the configuration: one listener, and these servers."""

    def write(port: int, *hosts: str, more: str = "") -> None:
        servers = ", ".join(f"{{address: {host}, port: {server_port}}}" for host in hosts)
        text = HEAD + f"resolver: {{nameservers: ['{dns.place}'], min_ttl: 1, max_ttl: 1}}\n"
        text += f"server_groups: [{{name: g, servers: [{servers}]{more}}}]\n"
        text += f"listeners: [{{name: l, protocol: TCP, address: 127.0.0.1, server_group: g, port: {port}}}]\n"
        site.file.write_text(text)

    return write


def wait_answers(port: int, *expected: str) -> None:
    wait_for(lambda: who_answers(port) == set(expected), f"answers of {expected}")


def wait_asked_again(dns: NameServer) -> None:
    before = dns.asked[NAME, "A"]
    wait_for(lambda: dns.asked[NAME, "A"] > before, "a question")


def test_a_name_stands_for_all_its_addresses_from_the_first_connection_on(
    site: Site, write: Callable[..., None]
) -> None:
    port = free_port()
    write(port, NAME)
    site.start()
    assert who_answers(port) == {ONE, TWO}
    assert site.count("WARNING") == 0


def test_traffic_follows_the_records_and_running_connections_stay(
    site: Site, write: Callable[..., None], dns: NameServer, server_port: int
) -> None:
    port = free_port()
    write(port, NAME)
    dns.records[NAME] = [ONE]
    site.start()
    workers = site.workers
    with told_connection(port) as (address, sock):
        assert address == ONE
        dns.records[NAME] = [TWO, THREE]
        wait_answers(port, TWO, THREE)
        sock.sendall(b"still here")
        assert sock.recv(100) == b"still here"
    assert site.workers == workers
    assert site.count(f"server {TWO}:{server_port} ({NAME}) added") == 1
    assert site.count(f"server {ONE}:{server_port} ({NAME}) removed") == 1
    wait_for(lambda: dns.asked[NAME, "A"] > 3, "more questions")
    assert site.count("reloaded: ") == 1, "nothing has changed since"


def test_connections_to_an_address_that_is_gone_end_with_the_drain_timeout(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    port = free_port()
    write(port, NAME, more=", connection_drain_timeout: 0")
    dns.records[NAME] = [ONE]
    site.start()
    with told_connection(port) as (_, sock):
        dns.records[NAME] = [TWO]
        assert sock.recv(100) == b"", "it goes on"


@pytest.mark.parametrize("mood", [SILENT, SERVFAIL, NXDOMAIN])
def test_a_name_that_stops_resolving_keeps_its_addresses(
    site: Site, write: Callable[..., None], dns: NameServer, mood: str
) -> None:
    port = free_port()
    write(port, NAME)
    site.start()
    dns.mood = mood
    warning = f"WARNING control: {NAME} does not resolve ("
    site.wait_count(warning, 1)
    assert who_answers(port) == {ONE, TWO}
    wait_asked_again(dns)
    assert site.count(warning) == 1
    assert site.count(f": stays at {ONE}, {TWO}") == 1
    dns.mood, dns.records[NAME] = "answer", [THREE]
    wait_answers(port, THREE)
    assert site.count(f"INFO control: {NAME} resolves again") == 1


def test_an_empty_answer_keeps_the_addresses_too(site: Site, write: Callable[..., None], dns: NameServer) -> None:
    port = free_port()
    write(port, NAME)
    site.start()
    dns.records[NAME] = []
    site.wait_count("it has neither an A nor an AAAA record", 1)
    assert who_answers(port) == {ONE, TWO}


def test_a_control_process_that_dies_loses_no_address_and_its_heir_goes_on(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    port = free_port()
    write(port, NAME)
    site.start()
    dns.records[NAME] = [TWO]
    wait_answers(port, TWO)
    dns.mood = SILENT
    os.kill(site.control, signal.SIGKILL)
    site.wait_count("control started", 2)
    site.wait_count(f"{NAME} does not resolve (no answer", 1)
    assert site.count(f": stays at {TWO}") >= 1, "the heir went back to what the daemon was started with"
    assert who_answers(port) == {TWO}
    dns.mood, dns.records[NAME] = "answer", [THREE]
    wait_answers(port, THREE)


def test_a_reload_without_dns_keeps_the_addresses_of_names_it_still_has(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    port, other = free_port(), free_port()
    write(port, NAME)
    site.start()
    dns.records[NAME] = [TWO]
    wait_answers(port, TWO)
    dns.mood = SILENT
    write(other, NAME)
    site.reload_done()
    assert who_answers(other) == {TWO}


def test_a_reload_resolves_a_new_name_before_it_is_served(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    """In place of the servers there were: a moment without any would be lost connections."""
    port = free_port()
    write(port, ONE)
    site.start()
    dns.records["other.test"] = [TWO, THREE]
    write(port, "other.test")
    site.reload()
    seen = set()

    def follows() -> bool:
        seen.update(answers := who_answers(port, 4))
        return answers == {TWO, THREE}

    wait_for(follows, "the servers of the name")
    assert "" not in seen
    assert site.count("reloaded: ") == 1


def test_a_reload_does_not_wait_for_ever_for_a_new_name(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    port = free_port()
    write(port, ONE)
    site.start()
    write(port, ONE, "gone.test")
    dns.mood = SILENT
    site.reload_done()
    assert site.count("gone.test does not resolve (no answer within 4 s): it has no address yet") == 1
    assert who_answers(port) == {ONE}
    dns.mood, dns.records["gone.test"] = "answer", [TWO]
    wait_answers(port, ONE, TWO)


def test_a_daemon_starts_with_a_name_that_does_not_resolve_yet(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    port = free_port()
    write(port, NAME)
    records = dns.records.pop(NAME)
    site.start()
    assert site.count(f"{NAME} does not resolve (no such name (NXDOMAIN)): it has no address yet") == 1
    assert site.count("server group g has no server until a host name resolves: its clients are reset") == 1
    assert who_answers(port) == {""}
    dns.records[NAME] = records
    wait_answers(port, ONE, TWO)


def test_a_dead_name_server_holds_a_start_up_for_seconds_only(
    site: Site, write: Callable[..., None], dns: NameServer
) -> None:
    port = free_port()
    write(port, ONE, NAME)
    dns.mood = SILENT
    site.start()
    assert who_answers(port) == {ONE}


def test_health_checks_go_on_while_nobody_answers_and_tell_names(
    site: Site, write: Callable[..., None], dns: NameServer, server_port: int
) -> None:
    port = free_port()
    health = ", health_check: {interval: 1, connect_timeout: 1, unhealthy_threshold: 2}"
    write(port, NAME, more=health)
    dns.records[NAME] = [ONE, "127.0.0.4"]
    site.start()
    dns.mood = SILENT
    site.wait_count(f"server 127.0.0.4:{server_port} ({NAME}) of g is unhealthy: CONNECT_FAILED", 1)


def test_neither_master_nor_workers_know_of_any_of_this(site: Site, write: Callable[..., None]) -> None:
    """No thread, no socket and no library of it outside the control process, before whose time names are resolved."""
    port = free_port()
    write(port, NAME)
    site.start()
    threads = {pid: len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in (site.running.pid, site.control)}
    assert threads[site.running.pid] == 1
    wait_for(lambda: len(list(Path(f"/proc/{site.control}/task").iterdir())) == 2, "the resolver's thread")
    maps = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in (site.running.pid, *site.workers)}
    assert not [pid for pid, text in maps.items() if "_asyncio" in text]


def test_check_asks_nobody_and_says_so(site: Site, write: Callable[..., None], dns: NameServer) -> None:
    write(free_port(), NAME, ONE)
    with program(["-m", "fastnlb", "check", "-c", str(site.file)], site.folder / "check") as checked:
        assert checked.wait_exit() == 0
        assert "note: 1 host name of servers: resolved by the daemon when it runs, not here" in checked.lines()
    assert not dns.asked


def test_quick_takes_a_name_that_the_system_knows(tmp_path: Path, server_port: int) -> None:
    port = free_port()
    arguments = [
        "quick",
        "--protocol",
        "TCP",
        "--listen",
        f"127.0.0.1:{port}",
        "--server",
        f"LocalHost:{server_port}",
    ]
    with program(["-m", "fastnlb", *arguments], tmp_path / "output") as running:
        running.wait_line("ready")
        assert ONE in who_answers(port)


def test_quick_follows_a_name_without_any_file(tmp_path: Path, dns: NameServer, server_port: int) -> None:
    """It has no option for a name server: the test puts its own where the system's would be."""
    port = free_port()
    arguments = ["--protocol", "TCP", "--listen", f"127.0.0.1:{port}", "--server", f"{NAME}:{server_port}"]
    start = ["-c", QUICK_WITH_NAME_SERVER, str(dns.port), *arguments]
    with program(start, tmp_path / "output") as running:
        running.wait_line("ready")
        assert who_answers(port) == {ONE, TWO}
        dns.records[NAME] = [THREE]
        wait_answers(port, THREE)
