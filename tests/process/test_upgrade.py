"""Hot restart: the program is started anew under its clients, who notice nothing; or nothing comes of it."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import servers, stream
from support.closed_loop import closed_loop
from support.lineage import Lineage
from support.procs import alive, children, descriptors, free_port, process_name, wait_for, wait_steady
from support.site import certificate_in, certificate_of, connection, serves

from fastnlb.master.succession import Succession
from fastnlb.master.upgrade import Command, Estate


def workers_of(master: int) -> list[int]:
    return [pid for pid in children(master) if process_name(pid).startswith("fastnlb:w")]


class Transfers(threading.Thread):
    """One long exchange after the other, both ways at once; `results` has the digests of both directions of each."""

    SIZE = 128 << 20

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._enough = threading.Event()
        self.results: list[tuple[bytes, bytes]] = []

    def run(self) -> None:
        while not self._enough.is_set():
            with socket.create_connection(("127.0.0.1", self._port), timeout=60) as sock:
                self.results.append(stream.exchange(sock, self.SIZE, self.SIZE))

    def assert_whole(self) -> None:
        self._enough.set()
        self.join(100)
        assert not self.is_alive()
        assert self.results
        assert set(self.results) == {(stream.digest(self.SIZE),) * 2}


# Nothing is lost


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_ten_hot_restarts_lose_no_connection(line: Lineage, tls: bool) -> None:
    plain, secured = free_port(), free_port()
    line.write(plain, tls=secured, head=line.head)
    line.start()
    masters = {line.master}
    # Paced so that neither the ports of the machine nor the number end it before the tenth.
    with closed_loop(secured if tls else plain, tls, seconds=110, most=50_000, pause=0.01) as load:
        for _ in range(10):
            load.wait_more(20)
            masters.add(line.upgrade_alone())
        load.wait_more(20)
    assert load.failures == []
    assert len(masters) == 11


@pytest.mark.slow
def test_transfers_go_on_across_hot_restarts_byte_for_byte(line: Lineage, tmp_path: Path) -> None:
    port = free_port()
    with servers.running("mirror", tmp_path) as mirror:
        line.write(port, head=line.head, server=mirror)
        line.start()
        transfers = Transfers(port)
        transfers.start()
        for _ in range(2):
            line.upgrade_alone()
        transfers.assert_whole()


def test_a_connection_stays_with_the_old_process_and_new_ones_go_to_the_new(line: Lineage) -> None:
    port = line.serve()
    old = line.master
    with connection(port) as exchange:
        new = line.upgrade()
        assert exchange(b"still here") == b"still here"
        with connection(port):
            shown = line.status()
            assert (shown["pid"], sum(each["connections"] for each in shown["workers"])) == (new, 1)
            ((draining),) = shown["draining"]
            assert (draining["pid"], draining["connections"]) == (old, 1)
        second = line.tell("upgrade")
        assert second.returncode == 1
        assert f"process {old} of the last one still drains its connections" in second.stderr
        assert exchange(b"and still") == b"and still"
    wait_for(lambda: not alive(old), "the old process to end")
    assert line.running.wait_exit() == 0
    wait_for(lambda: line.status()["draining"] == [], "it to be forgotten")
    line.upgrade()


def test_the_old_process_ends_what_is_left_at_its_deadline(line: Lineage) -> None:
    port = free_port()
    line.write(port, head=line.head.replace("shutdown_timeout: 5", "shutdown_timeout: 1"))
    line.start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        line.upgrade()
        assert sock.recv(1) == b""
    assert line.running.wait_exit() == 0


# Another configuration, another program


def test_a_successor_serves_what_is_configured_now_and_with_as_many_workers(line: Lineage) -> None:
    first, second, secured = free_port(), free_port(), free_port()
    line.write(first, tls=secured, head=line.head)
    line.start()
    line.new_certificate("second.test")
    line.write(first, second, tls=secured, head=line.head.replace("workers: 2", "workers: 3"))
    with closed_loop(first) as load:
        load.wait_more(20)
        new = line.upgrade_alone()
        load.wait_more(20)
        assert serves(second)
        assert certificate_of(secured) == certificate_in(line.folder)
        assert len(workers_of(new)) == 3
        line.write(first, head=line.head.replace("workers: 2", "workers: 3"))
        line.upgrade_alone()
        load.wait_more(20)
    assert load.failures == []
    assert not serves(second)


def test_a_successor_with_fewer_workers_and_listeners_loses_no_connection(line: Lineage) -> None:
    kept, gone, moved, there = free_port(), free_port(), free_port(), free_port()
    line.write(kept, gone, moved, head=line.head.replace("workers: 2", "workers: 4"))
    line.start()
    with closed_loop(kept) as load, closed_loop(gone) as leaving:
        load.wait_more(20)
        leaving.wait_more(20)
        line.write(kept, head=line.head.replace("workers: 2", "workers: 1"))
        text = line.file.read_text()
        line.file.write_text(
            text + f"  - {{name: l2, protocol: TCP, address: 127.0.0.1, port: {there}, server_group: g}}\n"
        )
        new = line.upgrade_alone()
        load.wait_more(50)
        assert (len(workers_of(new)), serves(there)) == (1, True)
    assert load.failures == []
    # Who comes to what is not served any more is told so at once, and nobody who has been let in is turned away.
    assert {failure.step for failure in leaving.failures} <= {"connect"}
    assert not serves(moved)
    line.write(kept, gone, head=line.head.replace("workers: 2", "workers: 3"))
    with closed_loop(kept) as load:
        line.upgrade_alone()
        load.wait_more(20)
        assert serves(gone)
    assert load.failures == []


def test_health_is_known_at_once(line: Lineage) -> None:
    port, dead = free_port(), free_port()
    line.write(port, head=line.head)
    servers_ = f"[{{address: 127.0.0.1, port: {line.server[1]}}}, {{address: 127.0.0.1, port: {dead}}}]"
    text = line.file.read_text()
    begin, end = text.index("servers: ["), text.index("]}]") + 1
    check = ", health_check: {interval: 1}"
    line.file.write_text(text[:begin] + "servers: " + servers_ + check + text[end:])
    line.start()
    line.wait_count("is unhealthy: CONNECT_FAILED", 1)
    line.upgrade_alone()
    health = {each["port"]: each["health"] for each in line.status()["server_groups"][0]["servers"]}
    assert health[dead] == "UNHEALTHY"
    assert line.count("is unhealthy") == 1


def test_what_is_handed_on_does_not_pile_up(line: Lineage) -> None:
    port = free_port()
    line.write(port, tls=free_port(), head=line.head)
    line.start()

    def files() -> list[str]:
        held = descriptors(line.master).values()
        return sorted(what.partition(":")[0].partition(" ")[0] for what in held)

    fresh = wait_steady(files, "the first master's files")
    for _ in range(3):
        line.upgrade_alone()
    theirs = 4  # the counters of its predecessor: two files, each open and mapped
    assert len(wait_steady(files, "the last one's files")) <= len(fresh) + theirs
    assert len(line.processes()) == 4


# Signals, systemd, daemons


def test_usr2_does_the_same(line: Lineage) -> None:
    port = line.serve()
    old = line.master
    line.running.signal(signal.SIGUSR2)
    wait_for(lambda: line.master != old, "a successor")
    assert serves(port)
    assert line.running.wait_exit() == 0


def test_the_service_manager_learns_who_is_the_main_process(line: Lineage, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        line.write(free_port(), head=line.head)
        line.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(1000).decode().splitlines() == ["READY=1", f"MAINPID={line.master}"]
        new = line.upgrade_alone()
        assert manager.recv(1000).decode().splitlines() == ["READY=1", f"MAINPID={new}"]
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(1000)  # and nothing of an end


def test_a_daemon_in_the_background_is_followed_too_by_its_relative_paths(line: Lineage) -> None:
    port = free_port()
    line.write(port, head=line.head)
    words = [sys.executable, "-m", "fastnlb", "run", "--daemon", "-c", line.file.name]
    subprocess.run(words, cwd=line.folder, check=True, timeout=30, stderr=subprocess.DEVNULL)
    first = line.master
    try:
        second = line.upgrade_alone()
        assert serves(port)
        assert first != second
    finally:
        assert line.tell("stop").returncode == 0


def test_process_1_does_not_end_its_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    said: list[tuple[bool, str]] = []
    with selectors.DefaultSelector() as selector:
        succession = Succession(
            Command.of_this_process(),
            None,
            selector,
            lambda: None,
            can_begin=lambda: True,
            estate=Estate,
            give_way=lambda _pid, _state: None,
            on_failed=lambda: None,
            on_alone=lambda: None,
            on_gone=lambda: None,
            on_abort=lambda: None,
        )
        succession.ask(lambda *answer: said.append(answer))
    assert said == [(False, "this is process 1, whose end would be the end of its container")]
