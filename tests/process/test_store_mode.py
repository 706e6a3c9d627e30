"""Store mode with the real program: what is served is in a state directory, and the file has the settings."""

from __future__ import annotations

import os
import pwd
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.lineage import Lineage
from support.open_folder import open_folder
from support.procs import alive, free_port, wait_for
from support.site import certificate_in, certificate_of, connection, serves

from fastnlb.config.load import load
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Revision
from fastnlb.privileges import acting_as, identity


class StoreSite(Lineage):
    """A daemon on the state directory `state` beside its file; `with_file` False: without the file."""

    with_file = True

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def command(self) -> list[str]:
        file = ["-c", str(self.file)] if self.with_file else []
        return ["-m", "fastnlb", "run", "--state-dir", str(self.state), *file, "--pid-file", f"{self.folder}/pid"]

    @property
    def master(self) -> int:
        return int((self.folder / "pid").read_text())

    def settings(self, text: str = "") -> None:
        self.file.write_text(self.head + text)

    def put(self, *ports: int) -> None:
        """Another revision with these plain listeners.  For when no daemon runs."""
        self.write(*ports, head=self.head)
        document = {**load(self.file).document, "certificates": []}
        with opened(self.state) as store:
            head = store.head()
            store.commit(store.stage(document, "test", "", expected_head=head.number if head else None))

    def revisions(self) -> list[Revision]:
        with opened(self.state) as store:
            return store.revisions()

    def reload(self) -> None:
        """Whichever process is the master by now."""
        os.kill(self.master, signal.SIGHUP)

    def stop(self) -> None:
        os.kill(self.master, signal.SIGTERM)
        assert self.running.wait_exit() == 0
        wait_for(lambda: not self.processes(), "all of it to end")

    def restart(self) -> None:
        """A hot restart, and the predecessor is gone."""
        before, started = self.master, self.count("control started")
        os.kill(before, signal.SIGUSR2)
        wait_for(lambda: not alive(before), "the predecessor to end")
        self.wait_count("control started", started + 1)

    def reload_to(self, line: str) -> None:
        """A reload that ends with this line."""
        before = self.count(line)
        self.reload()
        self.wait_count(line, before + 1)


def opened(path: Path) -> closing[Store]:
    return closing(Store.open(path))


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@contextmanager
def store_site(folder: Path, echo: tuple[str, int]) -> Iterator[StoreSite]:
    made = StoreSite(folder, echo)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def site(tmp_path: Path, echo: tuple[str, int]) -> Iterator[StoreSite]:
    with store_site(tmp_path, echo) as made:
        yield made


@pytest.fixture
def open_site(echo: tuple[str, int]) -> Iterator[StoreSite]:
    with open_folder() as folder, store_site(folder, echo) as made:
        yield made


def refused(site: StoreSite) -> tuple[int, str]:
    """A start that comes to nothing: its exit code and its only line."""
    words = [sys.executable, *site.command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    (line,) = done.stderr.splitlines()
    return done.returncode, line


# Start


def test_a_daemon_begins_with_nothing_and_without_a_file(site: StoreSite) -> None:
    site.with_file = False
    site.start()
    assert site.count("listeners: warning: no listener is enabled") == 1
    site.reload_to("reload: nothing has changed")
    site.stop()
    assert site.revisions() == []


def test_the_resources_of_the_file_are_the_first_revision_and_it_is_not_needed_any_more(site: StoreSite) -> None:
    plain, tls = free_port(), free_port()
    site.write(plain, tls=tls, head=site.head)
    certificate = certificate_in(site.folder)
    site.start()
    assert serves(plain)
    assert certificate_of(tls) == certificate
    (first,) = site.revisions()
    assert (first.number, first.author, first.summary) == (1, "import", f"4 resources of {site.file}")
    site.stop()
    site.file.unlink()
    for name in ("www.pem", "www.key"):
        (site.folder / name).unlink()
    site.with_file = False
    site.start()
    assert serves(plain)
    assert certificate_of(tls) == certificate


def test_a_start_is_from_the_newest_revision_and_leaves_the_resources_of_the_file_aside(site: StoreSite) -> None:
    old, new, other = free_port(), free_port(), free_port()
    site.settings()
    site.start()
    site.stop()
    site.put(old)
    site.put(new)
    site.write(other, head=site.head)
    site.start()
    assert serves(new)
    assert not serves(old)
    assert not serves(other)
    warning = (
        "certificates, server_groups, listeners: ignored, because the state directory has its own; fastnlb apply -f"
    )
    assert site.count(warning) == 1


def test_a_kill_of_all_processes_loses_nothing(site: StoreSite) -> None:
    port = free_port()
    site.write(port, head=site.head)
    site.start()
    site.kill_all()
    site.start()
    assert serves(port)


# Changes while it runs


def test_a_reload_reads_the_settings_of_the_file_again(site: StoreSite) -> None:
    port = free_port()
    site.write(port, head=site.head)
    site.start()
    site.settings()
    site.reload_to("reload: nothing has changed")
    site.file.write_text(site.head.replace("workers: 2", "workers: 3").replace("timeout: 5", "timeout: 9"))
    site.reload()
    site.wait_count("shutdown_timeout: 5 -> 9 takes effect at the next start", 1)
    site.wait_count("workers: 2 -> 3", 1)
    site.settings("nonsense: 1\n")
    site.reload_to("reload refused: the old configuration stays")
    assert site.count(f"{site.file}:6:1: nonsense: unknown key") == 1
    assert serves(port)
    done = site.tell("reload")
    assert done.returncode == 1
    assert "nonsense: unknown key" in done.stderr


def test_an_empty_store_takes_resources_over_at_a_reload_too(site: StoreSite) -> None:
    first, second = free_port(), free_port()
    site.settings()
    site.start()
    site.write(first, head=site.head)
    site.reload_to("reloaded: 1 listener")
    assert serves(first)
    site.write(second, head=site.head)
    site.reload_to("reload: nothing has changed")
    assert serves(first)
    site.stop()
    assert [each.author for each in site.revisions()] == ["import"]


def test_an_heir_of_the_control_process_has_the_store_as_well(site: StoreSite) -> None:
    port = free_port()
    site.write(port, head=site.head)
    site.start()
    site.reload_to("reload: nothing has changed")
    dead = site.control
    os.kill(dead, signal.SIGKILL)
    site.wait_count("control started", 2)
    site.reload_to("reload: nothing has changed")
    assert site.control != dead
    assert serves(port)


def test_a_hot_restart_goes_on_with_the_same_state(site: StoreSite) -> None:
    port = free_port()
    site.write(port, head=site.head)
    site.start()
    site.reload_to("reload: nothing has changed")
    old = site.master
    with connection(port) as exchange:
        site.upgrade()
        assert exchange(b"still here") == b"still here"
    wait_for(lambda: not alive(old), "the old process to end")
    site.wait_count("control started", 2)
    site.reload_to("reload: nothing has changed")
    assert serves(port)
    assert [each.number for each in site.revisions()] == [1]


def test_a_hot_restart_that_is_refused_changes_nothing(site: StoreSite) -> None:
    port = free_port()
    site.write(port, head=site.head)
    site.start()
    old = site.master
    site.settings("nonsense: 1\n")
    done = site.tell("upgrade")
    assert done.returncode == 1
    assert "nonsense: unknown key" in done.stderr
    assert site.master == old
    assert serves(port)


# Refusals


def test_one_of_the_two_has_to_be_named(site: StoreSite) -> None:
    done = site.tell("run")
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("spoil", "code", "line"),
    [
        ("foreign", 3, "is neither empty nor a state directory: name another one"),
        ("file", 3, "File exists"),
        ("newer", 1, "was written by a newer fastnlb (it has version 99, and this program knows 1): start that one"),
        ("damaged", 1, "fastnlb.db is damaged (file is not a database)"),
    ],
)
def test_a_directory_that_is_of_no_use_is_named_in_a_line(site: StoreSite, spoil: str, code: int, line: str) -> None:
    site.settings()
    if spoil == "file":
        site.state.write_text("x")
    elif spoil == "foreign":
        (site.state / "letters").mkdir(parents=True)
    else:
        Store.open(site.state).close()
    if spoil == "newer":
        connection = sqlite3.connect(site.state / "fastnlb.db")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    if spoil == "damaged":
        (site.state / "fastnlb.db").write_bytes(b"x" * 10_000)
    found, said = refused(site)
    assert said.startswith(f"fastnlb: {site.state}")
    assert line in said
    assert found == code


def test_two_daemons_do_not_share_a_directory(site: StoreSite) -> None:
    site.settings()
    with opened(site.state) as store:
        store.acquire()
        code, line = refused(site)
    assert line == f"fastnlb: {site.state} is in use by process {os.getpid()}: one daemon writes a state directory"
    assert code == 3
    site.start()


# As another user

NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_started_as_root_the_directory_is_the_users(open_site: StoreSite) -> None:
    site = open_site
    port = free_port()
    head = site.head + "user: nobody\n"
    site.file.write_text(head)
    site.start()
    assert {path.stat().st_uid for path in (site.state, *site.state.rglob("*"))} == {NOBODY}
    for name in ("www.pem", "www.key"):
        (site.folder / name).chmod(0o644)
    site.write(port, head=head)
    site.reload_to("reloaded: 1 listener")
    assert serves(port)
    site.restart()
    site.reload_to("reload: nothing has changed")
    assert serves(port)
    site.stop()
    assert {path.stat().st_uid for path in (site.state, *site.state.rglob("*"))} == {NOBODY}
    with acting_as(identity("nobody")):
        assert [each.author for each in site.revisions()] == ["import"]
