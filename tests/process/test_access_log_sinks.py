"""Where the access log goes: rotation, reloads, sinks that do not take what they are given, and the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.access_log import Reader, parse, read, wait_lines
from support.closed_loop import closed_loop
from support.logged_site import LOGGED, ONE, plain, port_of, totals
from support.procs import free_port, wait_for
from support.site import HEAD, connection, serves
from support.tls_site import TlsSite


@pytest.fixture
def site(tmp_path: Path, echo: tuple[str, int]) -> Iterator[TlsSite]:
    made = TlsSite(tmp_path, echo)
    yield made
    made.end()


@pytest.fixture
def log(site: TlsSite) -> Path:
    return site.folder / "access.log"


# --- rotation --------------------------------------------------------------------------------------------------


def rotate(site: TlsSite, log: Path, number: int) -> None:
    log.rename(log.with_suffix(f".{number}"))
    before = site.count("opened anew")
    site.running.signal(signal.SIGUSR1)
    site.wait_count("opened anew", before + 1)
    assert log.exists()


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_rotation_under_load_loses_and_splits_no_line(site: TlsSite, log: Path, tls: bool) -> None:
    port, secure = free_port(), free_port()
    site.write(port, tls=secure, head=LOGGED)
    site.start()
    with closed_loop(secure if tls else port, tls) as load:
        for number in range(10):
            load.wait_more(60)
            rotate(site, log, number)
        load.wait_more(60)
    assert load.failures == []
    site.running.signal(signal.SIGTERM)
    assert site.running.wait_exit() == 0
    files = [log, *(log.with_suffix(f".{number}") for number in range(10))]
    assert all(read(file) for file in files)
    lines = read(*files)
    assert len({line["client"] for line in lines}) == len(lines) == load.done


def test_what_cannot_be_opened_anew_goes_on_as_it_is(site: TlsSite, log: Path) -> None:
    port = plain(site)
    log.rename(old := log.with_suffix(".old"))
    log.mkdir()
    site.running.signal(signal.SIGUSR1)
    site.wait_count(f"access log {log}: Is a directory: the file that is open stays in use", 1)
    assert serves(port)
    wait_lines(old, 1)


def test_usr1_in_the_middle_of_a_change_is_done_after_it(site: TlsSite, log: Path) -> None:
    port, other = plain(site, head=LOGGED), free_port()
    site.write(port, other, head=LOGGED)
    log.rename(old := log.with_suffix(".old"))
    site.reload()
    site.running.signal(signal.SIGUSR1)
    site.wait_count("reloaded: ", 1)
    site.wait_count("opened anew", 1)
    assert serves(port)
    assert serves(other)
    wait_for(lambda: log.read_bytes().count(b"\n") == 2, "both lines in the new file")
    assert old.read_bytes() == b""


def test_the_heir_of_a_dead_worker_writes_to_the_file_there_is_now(site: TlsSite, log: Path) -> None:
    port = plain(site, head=LOGGED)
    rotate(site, log, 0)
    before = site.workers
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: site.count(" serves") == 4, "the heirs")
    assert serves(port)
    (line,) = wait_lines(log, 1)
    assert line["pid"] not in before


# --- reloads ---------------------------------------------------------------------------------------------------


def test_a_reload_switches_it_on_and_off_and_to_another_file(site: TlsSite, log: Path) -> None:
    port = plain(site, head=HEAD)
    with connection(port) as early:
        site.write(port, head=LOGGED)
        site.reload_done()
        site.wait_count(f"~ access log: none -> {log}", 1)
        early(b"x")
        mine = serves(port)
    assert mine
    lines = sorted(wait_lines(log, 2), key=lambda line: int(line["bytes_up"]))
    assert [line["bytes_up"] for line in lines] == [5, 6], "one was open before"
    assert all(port_of(line["client"]) and line["server"] for line in lines)
    assert [line["connect_ms"] is None for line in lines] == [False, True], "that was not looked at then"

    other = site.folder / "other.log"
    site.write(port, head=HEAD + "logging: {access_log: other.log}\n")
    site.reload_done()
    assert serves(port)
    wait_lines(other, 1)

    site.write(port, head=HEAD)
    site.reload_done()
    assert serves(port)
    wait_for(lambda: totals(site)["connections"] == 0, "the end of it")
    assert len(read(log)) == 2
    assert len(read(other)) == 1
    assert totals(site)["log_lines"] == 3
    assert site.count("worker 0 started") == 1


def test_a_file_that_cannot_be_opened_refuses_the_change(site: TlsSite, log: Path) -> None:
    port = plain(site)
    site.write(port, head=HEAD + "logging: {access_log: nowhere/access.log}\n")
    site.reload()
    site.wait_count(
        "the change was refused, nothing has changed: "
        f"access log {site.folder}/nowhere/access.log: No such file or directory",
        1,
    )
    assert serves(port)
    wait_lines(log, 1)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to("/dev/null"), "is a symbolic link; name the file itself"),
    ],
    ids=["folder", "link"],
)
def test_or_the_start(site: TlsSite, log: Path, make: Any, why: str) -> None:
    make(log)
    with pytest.raises(AssertionError, match="ended with 3"):
        plain(site)
    assert site.running.lines()[-1] == f"fastnlb: access log {log}: {why}"


# --- sinks that do not take what they are given ----------------------------------------------------------------


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system of one page or two."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_costs_lines_and_nothing_else(site: TlsSite) -> None:
    with full_disk(site.folder / "disk") as disk:
        port = plain(site, head=HEAD + "logging: {access_log: disk/access.log}\n")
        with closed_loop(port) as load:
            load.wait_more(120)
        assert load.failures == []
        done = load.done

        def counted() -> bool:
            return sum(totals(site)[name] for name in ("log_lines", "log_dropped")) == done

        wait_for(counted, "all counted")
        # A worker says so in its next turn, which is with the next connection.
        words = "the access log cannot be written as it should: lines are dropped (log_dropped): No space"
        while not site.count(words):
            assert serves(port)
            done += 1
            wait_for(counted, "one more")
        dropped = totals(site)["log_dropped"]
        assert 0 < dropped < done
        written = totals(site)["log_lines"]
        (disk / "access.log").write_bytes(b"")  # room again
        assert serves(port)
        wait_for(lambda: totals(site)["log_lines"] > written, "lines again")
        # One that was cut short when the disk became full may be first.
        whole = [line for line in (disk / "access.log").read_bytes().splitlines() if line.startswith(b"{")]
        assert len(parse(b"\n".join([*whole, b""]))) == 1
        assert totals(site)["log_dropped"] == dropped


def test_a_pipe_that_nobody_reads_costs_lines_and_nothing_else(site: TlsSite, log: Path) -> None:
    os.mkfifo(log)
    port = free_port()
    site.write(port, head=ONE)
    site.file.write_text(site.file.read_text().replace("name: l0", f"name: {'n' * 128}"))  # so that it is full soon
    site.start()
    done = 0
    while totals(site)["log_dropped"] < 50:
        assert serves(port)
        done += 1
    site.wait_count("lines are dropped (log_dropped): it takes them too slowly", 1)
    reader = Reader(log)
    wait_for(lambda: sum(totals(site)[name] for name in ("log_lines", "log_dropped")) == done, "all of it")
    reader.wait(written := totals(site)["log_lines"])
    assert written + totals(site)["log_dropped"] == done
    assert serves(port)
    reader.wait(written + 1)
    site.running.signal(signal.SIGTERM)
    assert site.running.wait_exit() == 0


def test_the_end_does_not_wait_for_a_pipe_that_nobody_reads(site: TlsSite, log: Path) -> None:
    os.mkfifo(log)
    port = plain(site, head=LOGGED)
    with closed_loop(port) as load:
        load.wait_more(400)
    site.running.signal(signal.SIGTERM)
    assert site.running.wait_exit(5) == 0
    assert site.count("killed") == 0


def test_standard_output(site: TlsSite) -> None:
    port = plain(site, head=HEAD + "logging: {access_log: stdout}\n")
    for _ in range(5):
        assert serves(port)
    lines = [line for line in site.running.lines() if line.startswith("{")]
    wait_for(lambda: sum(line.startswith("{") for line in site.running.lines()) == 5, "five lines")
    lines = [json.loads(line) for line in site.running.lines() if line.startswith("{")]
    assert {line["listener"] for line in lines} == {"l0"}


def test_a_daemon_has_no_standard_output(site: TlsSite) -> None:
    site.write(free_port(), head=HEAD + "logging: {access_log: stdout}\n")
    command = [sys.executable, *site.command, "--daemon"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "a daemon leaves its standard output; name a file" in refused.stderr


# --- the end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_writes_everything(site: TlsSite, log: Path, number: signal.Signals) -> None:
    port = plain(site, head=LOGGED)
    done = 40
    clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(done)]
    for each in clients:
        each.sendall(b"x")
        assert each.recv(1) == b"x"
    for each in clients[: done // 2]:
        each.close()
    site.running.signal(number)
    if number == signal.SIGTERM:
        site.wait_count("draining", 1)
        for each in clients:
            each.close()
    assert site.running.wait_exit() == 0
    lines = read(log)
    assert len(lines) == done
    if number == signal.SIGINT:
        assert {line["closed"] for line in lines} >= {"shutdown"}
        assert all(port_of(line["client"]) for line in lines)
    for each in clients:
        each.close()


def test_a_killed_worker_leaves_whole_lines(site: TlsSite, log: Path) -> None:
    port = plain(site, head=LOGGED)
    with closed_loop(port) as load:
        load.wait_more(30)
        os.kill(site.workers[0], signal.SIGKILL)
        load.wait_more(30)
    assert load.done >= len(read(log)) > 0
