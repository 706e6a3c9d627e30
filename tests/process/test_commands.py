"""`fastnlb status`, `reload` and `stop`: commands to the running program through its admin socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.procs import Program, alive, free_port, taken_port, wait_for
from support.site import HEAD, Site, connection, serves, unreadable


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Other daemons of this user are none of this test's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "fastnlb"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastnlb", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_status_shows_what_there_is(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    with connection(port):
        shown = command("status")
        assert shown.returncode == 0, shown.stderr
        answer = json.loads(command("status", "--output", "json").stdout)
    assert answer["pid"] == site.running.pid
    assert sorted(worker["pid"] for worker in answer["workers"]) == sorted(site.workers)
    assert sum(worker["connections"] for worker in answer["workers"]) == 1
    (listener,) = answer["listeners"]
    assert (listener["name"], listener["port"], listener["connections"]) == ("l0", port, 1)
    (server,) = answer["server_groups"][0]["servers"]
    assert (server["port"], server["connections"]) == (site.server[1], 1)
    for words in (f"process {site.running.pid}", "serving", f"127.0.0.1:{port}", f"127.0.0.1:{site.server[1]}"):
        assert words in shown.stdout


def test_a_reload_answers_with_what_has_changed_once_it_serves(site: Site) -> None:
    first, second = free_port(), free_port()
    site.write(first)
    site.start()
    site.write(first, second)
    done = command("reload")
    assert (done.returncode, done.stdout) == (0, f"+ listener l1 127.0.0.1:{second}\n"), done.stderr
    assert serves(second)
    assert command("reload").stdout == "nothing has changed\n"


def test_a_diff_says_what_would_change_and_changes_nothing(site: Site) -> None:
    first, second = free_port(), free_port()
    site.write(first)
    site.start()
    assert command("check", "-c", str(site.file), "--diff").stdout.endswith("\nnothing would change\n")
    site.write(first, second, head=HEAD.replace("workers: 2", "workers: 3") + "user: root\n")
    shown = command("check", "-c", str(site.file), "--diff")
    assert shown.returncode == 0, shown.stderr
    assert f"\n+ listener l1 127.0.0.1:{second}\n" in shown.stdout
    assert "\nuser: none -> root takes effect at the next start\n" in shown.stdout
    as_json = json.loads(command("check", "-c", str(site.file), "--diff", "--format", "json").stdout)
    assert f"+ listener l1 127.0.0.1:{second}" in as_json["changes"]
    assert not serves(second)
    site.file.write_text("version: 2\n")
    assert command("check", "-c", str(site.file), "--diff").returncode == 1


def test_a_diff_needs_a_daemon(site: Site) -> None:
    site.write(free_port())
    asked = command("check", "-c", str(site.file), "--diff")
    assert asked.returncode == 4
    assert "no daemon of this user is running" in asked.stderr


def test_a_retired_worker_that_is_killed_takes_its_counts_with_it(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    kept, retired = site.workers

    def counted() -> int:
        answer = json.loads(command("status", "--output", "json").stdout)
        return int(answer["listeners"][0]["connections"])

    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    try:
        wait_for(lambda: counted() == 20, "all of them to be accepted")
        site.running.signal(signal.SIGTTOU)
        site.wait_count("worker 1 is retired", 1)
        assert "draining" in command("status").stdout
        os.kill(retired, signal.SIGKILL)
        wait_for(lambda: site.workers == [kept], "its end")
        wait_for(lambda: 0 < counted() < 20, "its connections not to count any more")
    finally:
        for sock in socks:
            sock.close()
    wait_for(lambda: counted() == 0, "nothing to be left")


def test_a_reload_changes_the_number_of_workers_and_says_so(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    site.write(port, head=HEAD.replace("workers: 2", "workers: 3"))
    assert command("reload").stdout == "workers: 2 -> 3\n"
    wait_for(lambda: len(site.workers) == 3, "one more")
    assert command("reload").stdout == "nothing has changed\n"
    site.running.signal(signal.SIGTTOU)
    wait_for(lambda: len(site.workers) == 2, "one fewer")
    assert command("reload").stdout == "nothing has changed\n"
    wait_for(lambda: len(site.workers) == 3, "what the file says")


def test_a_reload_that_is_refused_says_why_and_that_nothing_has_changed(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    site.file.write_text(site.file.read_text().replace(f"port: {port}", "port: 0"))
    refused = command("reload")
    assert refused.returncode == 1
    assert "listeners[0].port: 0 is out of range" in refused.stderr
    assert refused.stderr.endswith("reload refused: nothing has changed\n")
    assert serves(port)


def test_a_reload_that_the_kernel_refuses_says_why(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    with taken_port() as taken:
        site.write(port, taken)
        refused = command("reload")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{taken}: address already in use" in refused.stderr


def test_who_asks_while_control_dies_is_told_and_the_next_one_is_served(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    with unreadable(site) as until_it_reads:
        asking = subprocess.Popen([sys.executable, "-m", "fastnlb", "reload"], stderr=subprocess.PIPE, text=True)
        until_it_reads()
        before = site.control
        os.kill(before, signal.SIGKILL)
        _, said = asking.communicate(timeout=30)
        assert asking.returncode == 4
        assert "the daemon does not answer" in said
        wait_for(lambda: site.control != before, "the heir")
        until_it_reads()
    site.write(port)
    assert command("status").returncode == 0


def test_stop_returns_when_the_daemon_is_gone(site: Site, own_registry: Path) -> None:
    port = free_port()
    site.write(port)
    site.start()
    stopped = command("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert stopped.stdout == "draining, for at most 5 s\nstopped\n"
    assert site.running.wait_exit() == 0
    assert list(own_registry.iterdir()) == [], "something was left behind"


def test_without_a_daemon_there_is_no_answer() -> None:
    for what in ("status", "reload", "stop"):
        nobody = command(what)
        assert (nobody.returncode, nobody.stdout) == (4, "")
        assert "no daemon of this user is running" in nobody.stderr


def test_a_run_dir_has_one_daemon_and_its_socket_is_for_its_user(site: Site, tmp_path: Path) -> None:
    port = free_port()
    head = HEAD + f"run_dir: {tmp_path}/run\nadmin: {{socket: a.sock}}\n"
    site.write(port, head=head)
    site.start()
    socket_file = tmp_path / "run" / "a.sock"
    assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600
    for more in ([], ["--pid-file", str(tmp_path / "another.pid")]):
        second = command("run", "-c", str(site.file), *more)
        assert second.returncode == 3
        assert f"already running as process {site.running.pid}" in second.stderr
    assert command("status", "--admin", str(socket_file)).returncode == 0
    assert command("status", "--pid-file", str(tmp_path / "run" / "fastnlb.pid")).returncode == 0
    assert serves(port)


def test_a_socket_that_a_killed_daemon_left_is_no_obstacle(site: Site, tmp_path: Path) -> None:
    port = free_port()
    site.write(port, head=HEAD + f"run_dir: {tmp_path}/run\n")
    first = site.start()
    first.signal(signal.SIGKILL)
    first.wait_exit()
    assert (tmp_path / "run" / "admin.sock").exists()
    site.start()  # at once, as a supervisor would
    assert json.loads(command("status", "--output", "json").stdout)["pid"] == site.running.pid


def test_a_path_that_is_too_long_for_a_socket_is_refused(site: Site, tmp_path: Path) -> None:
    site.write(free_port(), head=HEAD + f"run_dir: {tmp_path}/{'x' * 100}\n")
    program = Program(["-m", "fastnlb", "run", "-c", str(site.file)], tmp_path / "output")
    assert program.wait_exit() == 3
    assert "longer than 107 bytes: set run_dir to a shorter one" in program.output()


def test_the_daemon_does_not_end_before_control_has_answered(site: Site) -> None:
    site.write(free_port())
    site.start()
    os.kill(site.control, signal.SIGSTOP)
    site.running.signal(signal.SIGTERM)
    time.sleep(0.3)  # the workers have nothing to end
    assert alive(site.running.pid)
    os.kill(site.control, signal.SIGCONT)
    assert site.running.wait_exit() == 0


def test_a_pid_file_elsewhere_leaves_nothing_in_the_run_dir(site: Site, tmp_path: Path) -> None:
    site.write(free_port(), head=HEAD + f"run_dir: {tmp_path}/run\n")
    program = Program([*site.command, "--pid-file", f"{tmp_path}/apart.pid"], tmp_path / "apart.log")
    program.wait_line("ready")
    assert (tmp_path / "run" / "fastnlb.pid").read_text() == (tmp_path / "apart.pid").read_text()
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    assert list((tmp_path / "run").iterdir()) == []
