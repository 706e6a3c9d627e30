"""What processes may do: the master little, its children nothing that any user may not."""

from __future__ import annotations

import os
import pwd
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import Api
from support.procs import free_port, wait_for
from support.site import HEAD, Site, serves, tls_client

from fastnlb.cli import serve
from fastnlb.model import Settings
from fastnlb.privileges import CAPABILITIES, MASTER

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = HEAD + "user: nobody\n"


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def capabilities(pid: int, field: str = "CapEff") -> set[str]:
    held = int(status(pid)[field], 16)
    names = {number: name for name, number in CAPABILITIES.items()}
    return {names.get(number, str(number)) for number in range(64) if held >> number & 1}


def is_nobody(pid: int) -> bool:
    about = status(pid)
    return about["Uid"].split() == [str(NOBODY.pw_uid)] * 4 and about["Gid"].split() == [str(NOBODY.pw_gid)] * 4


def assert_powerless(pid: int) -> None:
    """It gives away what it was forked with, and `started` is said a moment before."""
    wait_for(lambda: capabilities(pid, "CapPrm") == set(), "its powers to be given away")
    for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert capabilities(pid, field) == set(), field
    assert status(pid)["NoNewPrivs"] == "1"


@pytest.fixture
def readable(site: Site) -> Iterator[Site]:
    """The folder and what is in it for everybody, as an administrator would for the group of the user."""
    folder = site.folder
    while not folder.stat().st_mode & 0o001:
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    for name in ("www.pem", "www.key"):
        (site.folder / name).chmod(0o644)
    yield site


def low_port() -> int:
    for port in range(1023, 600, -1):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port below 1024 is taken")


def test_workers_and_control_become_the_user_and_can_do_nothing_else(readable: Site) -> None:
    port = low_port()
    readable.write(tls=port, head=AS_NOBODY)
    readable.start()
    with tls_client(port):
        pass
    for pid in (*readable.workers, readable.control):
        assert_powerless(pid)
        assert is_nobody(pid)
        assert status(pid)["Groups"].split() == [str(NOBODY.pw_gid)]
    master = readable.running.pid
    assert status(master)["Uid"].split()[0] == "0"
    assert capabilities(master) == capabilities(master, "CapPrm") == set(MASTER)


def test_the_api_is_answered_by_a_user_who_may_not_read_the_program(readable: Site) -> None:
    """What it needs is loaded before it becomes that user."""
    admin = free_port()
    readable.write(free_port(), head=AS_NOBODY + f"admin: {{listen: '127.0.0.1:{admin}'}}\n")
    readable.start()
    assert Api(admin).get("status").json["mode"] == "file"
    assert Api(admin).get("/openapi.json").status == 200
    assert is_nobody(readable.control)
    assert readable.count("control started") == 1


def test_an_heir_is_as_powerless_as_its_predecessor(readable: Site) -> None:
    port = low_port()
    readable.write(port, head=AS_NOBODY)
    readable.start()
    dead, _ = readable.workers
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: dead not in readable.workers and len(readable.workers) == 2, "the heir")
    for pid in readable.workers:
        assert_powerless(pid)
        assert is_nobody(pid)
    wait_for(lambda: serves(port), "the port")


def test_a_reload_reads_what_the_user_may_read_and_binds_what_root_may(readable: Site) -> None:
    first, second = low_port(), free_port()
    readable.write(second, head=AS_NOBODY)
    readable.start()
    readable.write(second, first, head=AS_NOBODY)
    readable.reload_done()
    assert serves(first)
    readable.file.chmod(0o600)
    readable.reload()
    readable.wait_count("reload refused", 1)
    assert "cannot read: Permission denied" in readable.running.output()
    assert serves(first)


def test_without_a_user_children_of_root_have_no_capability_but_to_read_again(site: Site) -> None:
    site.write(free_port())
    site.start()
    for pid in site.workers:
        assert_powerless(pid)
    wait_for(lambda: capabilities(site.control) == {"DAC_READ_SEARCH"}, "the rest to be given away")
    assert capabilities(site.control, "CapBnd") == set()


def test_who_is_not_root_serves_as_who_it_is_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert serve._identity(Settings(user="nobody")) is None
    assert "user: nobody: only root can become another user" in caplog.text
    assert serve._identity(Settings()) is None


def test_who_is_that_user_already_stays_in_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    assert serve._identity(Settings(user="nobody")) is None


def test_a_hot_restart_in_a_folder_of_the_user(readable: Site) -> None:
    folder = readable.folder / "run"
    folder.mkdir()
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    readable.write(free_port(), head=AS_NOBODY + f"run_dir: {folder}\n")
    readable.start()
    old = readable.running.pid
    readable.running.signal(signal.SIGUSR2)
    wait_for(lambda: int((folder / "fastnlb.pid").read_text()) != old, "the pid file to name the successor")
    new = int((folder / "fastnlb.pid").read_text())
    os.kill(new, signal.SIGTERM)
    wait_for(lambda: list(folder.iterdir()) == [], "all of it to be removed")
