"""Reload with the real program: `fastnlb run`, a file that is rewritten, and connections that live through it."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
from pathlib import Path

import pytest
from support import servers
from support.procs import (
    Program,
    alive,
    children,
    descriptors,
    free_port,
    listening_inodes,
    wait_for,
    wait_steady,
)
from support.site import HEAD, Site, certificate_in, certificate_of, connection, serves, tls_client, unreadable

from fastnlb.procstat import process_state

# What a reload changes


def test_listeners_come_and_go_and_a_connection_stays(site: Site) -> None:
    kept, removed, added = free_port(), free_port(), free_port()
    site.write(kept, removed)
    site.start()
    workers, sockets = site.workers, listening_inodes(kept)
    with connection(kept) as exchange, connection(removed) as leaving:
        site.write(kept, added)
        site.reload_done()
        assert serves(added)
        wait_for(lambda: not listening_inodes(removed), "the removed sockets to close")
        assert exchange(b"still here") == b"still here"
        assert leaving(b"so am I") == b"so am I"
    assert site.workers == workers
    assert listening_inodes(kept) == sockets
    assert site.count(f"~ listener l1: port {removed} -> {added}") == 1


def test_new_connections_go_to_the_new_servers(site: Site, tmp_path: Path) -> None:
    port = free_port()
    site.write(port)
    site.start()
    (tmp_path / "other").mkdir()
    with connection(port) as exchange, servers.running("echo", tmp_path / "other") as other:
        site.write(port, server=other)
        site.reload_done()
        assert site.count(f"server 127.0.0.1:{other[1]} added") == 1
        assert exchange(b"old server") == b"old server"
        assert serves(port)
    assert not serves(port), "it still goes to the old server"


def test_nothing_new_is_no_change(site: Site) -> None:
    site.write(free_port())
    site.start()
    site.reload()
    site.running.wait_line(".*reload: nothing has changed")
    assert site.count("reloaded: ") == 0


def test_settings_that_wait_for_the_next_start_are_named(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    site.write(port, head=HEAD.replace("shutdown_timeout: 5", "shutdown_timeout: 7"))
    site.reload()
    site.running.wait_line(".* WARNING control: shutdown_timeout: 5 -> 7 takes effect at the next start")
    assert len(site.workers) == 2


# Refusals


def test_a_broken_file_is_refused_with_its_places(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    with connection(port) as exchange:
        site.write(port, 70000, head=HEAD + "nonsense: 1\n")
        site.reload()
        site.running.wait_line(".* ERROR control: reload refused: the old configuration stays")
        place = re.escape(str(site.file))
        site.running.wait_line(rf".* ERROR control: {place}:5:\d+: nonsense: .*")
        site.running.wait_line(rf".* ERROR control: {place}:10:\d+: listeners\[1\]\.port: .*")
        assert exchange(b"unmoved") == b"unmoved"
    assert serves(port)
    added = free_port()
    site.write(port, added)
    site.reload_done()
    assert serves(added)


def test_a_port_that_is_taken_refuses_the_whole_change(site: Site) -> None:
    kept, added = free_port(), free_port()
    site.write(kept)
    site.start()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        site.write(kept, added, taken)
        site.reload()
        reason = f"listener l2: cannot listen on 127.0.0.1:{taken}: address already in use"
        site.running.wait_line(f".* ERROR master: the change was refused, nothing has changed: {re.escape(reason)}")
    assert serves(kept)
    assert not listening_inodes(added)
    site.reload_done()
    assert serves(added)
    assert serves(taken)


def test_a_daemon_without_a_file_has_nothing_to_reload(tmp_path: Path, echo: tuple[str, int]) -> None:
    port = free_port()
    arguments = ["quick", "--protocol", "TCP", "--listen", f"127.0.0.1:{port}", "--server", f"{echo[0]}:{echo[1]}"]
    running = Program(["-m", "fastnlb", *arguments], tmp_path / "output")
    try:
        running.wait_line("ready")
        running.signal(signal.SIGHUP)
        running.wait_line(".*nothing to reload: started without a configuration file")
        assert serves(port)
    finally:
        running.kill()


# Many requests


def test_requests_that_come_together_are_served_by_what_the_file_says_last(site: Site) -> None:
    kept = free_port()
    site.write(kept)
    site.start()
    with connection(kept) as exchange:
        for _ in range(100):
            last = free_port()
            site.write(kept, last)
            site.reload()
        wait_for(lambda: serves(last), "the last file to be served")
        assert exchange(b"through it all") == b"through it all"
    assert wait_steady(lambda: site.count("reloaded: "), "the reloads") < 100
    assert len(site.workers) == 2


def test_two_requests_at_once_end_in_one_state(site: Site) -> None:
    kept, added = free_port(), free_port()
    site.write(kept)
    site.start()
    site.write(kept, added)
    site.reload()
    site.reload()
    wait_for(lambda: serves(added), "the added listener")
    assert wait_steady(lambda: site.count("reloaded: "), "the reloads") == 1


def test_reloads_leak_neither_descriptors_nor_processes(site: Site) -> None:
    ports = [free_port() for _ in range(2)]
    site.write(ports[0])
    site.start()
    family = [site.running.pid, *children(site.running.pid)]

    def held() -> list[list[str]]:
        return [sorted(what.partition(":")[0] for what in descriptors(pid).values()) for pid in family]

    before = wait_steady(held, "descriptors")
    for number in range(20):
        site.write(*ports[: 2 - number % 2])
        site.reload_done()
    wait_for(lambda: held() == before, "the descriptors of before")
    assert [site.running.pid, *children(site.running.pid)] == family


# Deaths and ends


def test_the_control_process_has_nothing_of_the_others(site: Site) -> None:
    port = free_port()
    site.write(port, tls=free_port())
    site.start()
    for generation in range(2):
        held = wait_steady(
            lambda: {fd: what for fd, what in descriptors(site.control).items() if fd > 2}, "its files"
        )
        kinds = sorted(what.partition(":")[0] for what in held.values() if not what.startswith("/memfd:fastnlb-"))
        # What it polls with, its channel, the admin socket, and the pair by which a loop is woken.
        assert kinds == ["anon_inode", *4 * ["socket"]], f"process {generation}: {held}"
        if not generation:
            os.kill(site.control, signal.SIGKILL)
            site.wait_count("control started", 2)
    for worker in site.workers:
        assert sum(what.startswith("socket:") for what in descriptors(worker).values()) == 3, "a channel too many"


def test_the_death_of_control_disturbs_nobody_and_the_next_reload_works(site: Site) -> None:
    kept, added, late = free_port(), free_port(), free_port()
    site.write(kept)
    site.start()
    workers = site.workers
    with connection(kept) as exchange:
        site.write(kept, added)
        site.reload_done()
        for number in range(2, 4):
            dead = site.control
            os.kill(dead, signal.SIGKILL)
            assert exchange(b"undisturbed") == b"undisturbed"
            site.wait_count("control started", number)
            assert not process_state(dead)
        # What is in force is not what the daemon was started with.
        site.reload()
        site.running.wait_line(".*reload: nothing has changed")
        site.write(kept, added, late)
        site.reload_done()
        assert site.count(f"+ listener l2 127.0.0.1:{late}") == 1
        assert serves(late)
        assert exchange(b"undisturbed") == b"undisturbed"
    assert site.workers == workers


def test_a_request_that_comes_while_control_is_away_is_remembered(site: Site) -> None:
    kept, added = free_port(), free_port()
    site.write(kept)
    site.start()
    os.kill(site.control, signal.SIGSTOP)
    wait_for(lambda: process_state(site.control) == "T", "control to stop")
    site.write(kept, added)
    site.reload()
    os.kill(site.control, signal.SIGKILL)
    wait_for(lambda: serves(added), "the reload")


def test_a_reload_that_kills_is_given_up(site: Site) -> None:
    """As a file would that makes the parser eat all memory."""
    port = free_port()
    site.write(port)
    site.start()
    text = site.file.read_text()
    with unreadable(site) as wait_reading:
        site.reload()
        for number in range(2, 4):
            wait_reading()
            os.kill(site.control, signal.SIGKILL)
            site.wait_count("control started", number)
    site.running.wait_line(".*the reload is given up: control died of it 2 times; nothing has changed")
    site.file.write_text(text)
    assert serves(port)
    site.reload()
    site.running.wait_line(".*reload: nothing has changed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_waits_for_no_reload(site: Site, number: signal.Signals) -> None:
    port = free_port()
    site.write(port)
    site.start()
    family = children(site.running.pid)
    with unreadable(site) as wait_reading:
        site.reload()
        wait_reading()
        site.running.signal(number)
        assert site.running.wait_exit(5) == 0
    assert not any(map(process_state, family))
    assert not listening_inodes(port)


def test_a_reload_and_the_end_in_one_breath(site: Site) -> None:
    kept, added = free_port(), free_port()
    site.write(kept)
    site.start()
    family = children(site.running.pid)
    site.write(kept, added)
    site.reload()
    site.running.signal(signal.SIGTERM)
    assert site.running.wait_exit() == 0
    assert not any(map(process_state, family))
    assert not listening_inodes(kept) | listening_inodes(added)


def test_control_goes_with_its_master(site: Site) -> None:
    site.write(free_port())
    site.start()
    family = children(site.running.pid)
    os.kill(site.running.pid, signal.SIGKILL)
    site.running.wait_exit()
    wait_for(lambda: not any(map(alive, family)), "everyone to leave")


# Certificates


def test_a_new_certificate_is_served_after_a_reload_and_the_old_connection_lives_on(site: Site) -> None:
    port = free_port()
    site.write(tls=port)
    site.start()
    with tls_client(port) as old:
        before = old.getpeercert(binary_form=True)
        site.new_certificate("second.test")
        assert certificate_of(port) == before, "taken without being asked to"
        site.reload_done()
        assert certificate_of(port) == certificate_in(site.folder) != before
        old.sendall(b"still here")
        assert old.recv(100) == b"still here"


def test_a_new_certificate_is_found_without_being_told(site: Site) -> None:
    port = free_port()
    site.write(tls=port, head=HEAD + "watch: true\n")
    site.start()
    with tls_client(port) as old:
        site.new_certificate("second.test")
        site.running.wait_line(".*~ certificate www: new chain, new private key")
        wait_for(lambda: certificate_of(port) == certificate_in(site.folder), "the new certificate")
        old.sendall(b"still here")
        assert old.recv(100) == b"still here"


def test_watching_begins_with_a_reload_and_survives_control(site: Site) -> None:
    port = free_port()
    site.write(tls=port)
    site.start()
    site.write(tls=port, head=HEAD + "watch: true\n")
    site.reload()
    site.running.wait_line(".*reload: nothing has changed")
    site.new_certificate("second.test")
    wait_for(lambda: certificate_of(port) == certificate_in(site.folder), "the new certificate")
    os.kill(site.control, signal.SIGKILL)
    site.wait_count("control started", 2)
    site.new_certificate("third.test")
    wait_for(lambda: certificate_of(port) == certificate_in(site.folder), "the newest certificate")


def test_an_heir_that_finds_the_file_broken_reads_it_again_later(site: Site) -> None:
    port = free_port()
    site.write(tls=port)
    site.start()
    site.write(tls=port, head=HEAD + "watch: true\n")
    site.new_certificate("second.test")
    site.reload_done()
    text = site.file.read_text()
    site.file.write_text("broken")
    os.kill(site.control, signal.SIGKILL)
    site.running.wait_line(".* ERROR control: refresh refused: the old configuration stays")
    site.file.write_text(text)
    site.new_certificate("third.test")
    wait_for(lambda: certificate_of(port) == certificate_in(site.folder), "the newest certificate")


def test_a_broken_certificate_is_told_and_not_taken(site: Site) -> None:
    port = free_port()
    site.write(tls=port, head=HEAD + "watch: true\n")
    site.start()
    before = certificate_of(port)
    (site.folder / "www.pem").write_text("no certificate")
    site.running.wait_line(r".* WARNING control: .*certificates\[0\]\.certificate: warning: .*")
    assert certificate_of(port) == before


# The service manager, and core dumps


def test_the_service_manager_is_told_of_the_reload(site: Site, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        port = free_port()
        site.write(port)
        running = site.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        ready = f"READY=1\nMAINPID={running.pid}"
        assert manager.recv(1000).decode() == ready
        for listeners in ([port, free_port()], [port, 70000]):
            site.write(*listeners)
            site.reload()
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(1000).decode())
            assert manager.recv(1000).decode() == ready


@pytest.mark.parametrize("allowed", [False, True])
def test_memory_with_keys_is_kept_from_dumps(site: Site, allowed: bool) -> None:
    site.write(tls=free_port(), head=HEAD if allowed else HEAD.replace("core_dumps: true\n", ""))
    running = site.start()
    family = [running.pid, *children(running.pid)]
    assert len(family) == 4
    for pid in family:
        limits = Path(f"/proc/{pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        soft_and_hard = line.split()[4:6]
        assert (soft_and_hard == ["0", "0"]) is (not allowed or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0)


def test_processes_are_named(site: Site) -> None:
    site.write(free_port(), head=HEAD.replace("core_dumps: true\n", ""))
    family = [site.start().pid, *children(site.running.pid)]
    expected = {"fastnlb:master", "fastnlb:w0", "fastnlb:w1", "fastnlb:control"}
    wait_for(lambda: {Path(f"/proc/{pid}/comm").read_text().strip() for pid in family} == expected, "the names")
