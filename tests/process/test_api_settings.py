"""The settings file of a daemon whose state is changed over the API: an edit waits until a reload is asked for."""

from __future__ import annotations

import os
import signal

from support.api import Managed
from support.procs import alive, wait_for
from support.site import serves


def edit(managed: Managed, more: str) -> None:
    managed.settings(f"admin: {{listen: '127.0.0.1:{managed.port}'}}\n{more}")


def test_an_edit_that_nobody_reloaded_is_in_no_change(managed: Managed) -> None:
    log = managed.folder / "access.log"
    edit(managed, "logging: {access_log: access.log}\n")
    made = managed.api.post("server-groups", managed.group("one"))
    assert made.json["change"]["lines"] == ["+ server group one (1 server)"]
    assert not log.exists()
    managed.reload_done()
    assert log.exists()
    made = managed.api.post("server-groups", managed.group("two"))
    assert made.json["change"]["lines"] == ["+ server group two (1 server)"]


def test_an_edit_that_is_wrong_is_in_nobodys_way(managed: Managed) -> None:
    edit(managed, "workers: many\n")
    assert managed.api.post("server-groups", managed.group("one")).status == 201
    managed.reload()
    managed.running.wait_line(".*ERROR control: reload refused.*")
    assert managed.api.post("server-groups", managed.group("two")).status == 201


def test_an_edit_that_the_daemon_refused_is_in_no_change_that_follows(managed: Managed) -> None:
    edit(managed, f"logging: {{access_log: {managed.folder}/nowhere/access.log}}\n")
    managed.reload()
    managed.running.wait_line(".*ERROR master: the change was refused.*")
    made = managed.api.post("server-groups", managed.group("one"))
    assert (made.status, made.json["change"]["lines"]) == (201, ["+ server group one (1 server)"])


def test_what_was_reloaded_outlives_the_control_process(managed: Managed) -> None:
    log = managed.folder / "access.log"
    edit(managed, "logging: {access_log: access.log}\n")
    managed.reload_done()
    old = managed.control
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not alive(old) and managed.control != old, "an heir")
    wait_for(lambda: managed.local.get("/readyz").status == 200, "its API")
    made = managed.api.post("server-groups", managed.group("one"))
    assert made.json["change"]["lines"] == ["+ server group one (1 server)"]
    before = log.stat().st_size
    assert serves(managed.serving())
    wait_for(lambda: log.stat().st_size > before, "a line in the log that was switched on")
