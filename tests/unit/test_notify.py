"""sd_notify: what reaches the service manager, and that nothing can go wrong here."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastnlb.master import notify


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A service manager's socket, named in the environment."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@fastnlb-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_ready_names_the_main_process(manager: socket.socket) -> None:
    notify.ready()
    assert manager.recv(1000).decode().splitlines() == ["READY=1", f"MAINPID={os.getpid()}"]


def test_a_reload_carries_the_time_of_its_beginning(manager: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify.reloading()
    state, stamp = manager.recv(1000).decode().splitlines()
    assert state == "RELOADING=1"
    name, _, number = stamp.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(number) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_stopping_and_status(manager: socket.socket) -> None:
    notify.stopping()
    notify.status("all\nwell")
    assert manager.recv(1000) == b"STOPPING=1"
    assert manager.recv(1000) == b"STATUS=all well"


def test_without_the_variable_nothing_is_sent(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify.ready()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)


def test_a_full_manager_does_not_block_us(manager: socket.socket) -> None:
    for _ in range(5000):
        notify.status("x" * 1000)
    assert manager.recv(2000).startswith(b"STATUS=x")


@pytest.mark.parametrize("name", ["", "@", "/nowhere/at/all", "relative", "vsock:1:2", "/" + "x" * 500, "/"])
def test_a_broken_variable_is_nobody_s_problem(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify.ready()


def test_the_watchdog_is_told_twice_in_its_time(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watchdog = notify.Watchdog()
    watchdog.turn()
    assert (watchdog.due, manager.recv(100)) == (115.0, b"WATCHDOG=1")
    now = 114.9
    watchdog.turn()
    assert watchdog.due == 115.0
    now = 115.0
    watchdog.turn()
    assert (watchdog.due, manager.recv(100)) == (130.0, b"WATCHDOG=1")


@pytest.mark.parametrize("value", [None, "", "x"])
def test_without_a_watchdog_nobody_is_told(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    if value is not None:
        monkeypatch.setenv("WATCHDOG_USEC", value)
    watchdog = notify.Watchdog()
    watchdog.turn()
    assert watchdog.due is None
