"""The commands as a user starts them: output, exit codes, and that nothing is left behind."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.procs import (
    PACKAGE_PATH,
    Program,
    alive,
    children,
    descriptors,
    free_port,
    listening_inodes,
    program,
    wait_for,
)

from fastnlb.tls.material import self_signed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a certificate; whatever daemon left its pid file there is ended."""
    chain, key = self_signed(["localhost"])
    (tmp_path / "www.pem").write_bytes(chain + key)
    (tmp_path / "www.pem").chmod(0o600)
    yield tmp_path
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def fastnlb(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command to its end; it must end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "fastnlb", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_PATH)},
    )


def configuration(folder: Path, port: int, more: str = "") -> str:
    path = folder / "fastnlb.yaml"
    path.write_text(
        "version: 1\nworkers: 1\ncore_dumps: true\n"  # or only root may look at its descriptors
        "certificates: [{name: www, certificate: www.pem}]\n"
        "server_groups: [{name: web, servers: [{address: 127.0.0.1, port: 9}]}]\n"
        "listeners:\n"
        "  - {name: https, protocol: TCPSSL, address: 127.0.0.1, server_group: web, certificate: www, "
        f"port: {port}}}\n" + more
    )
    return str(path)


def get(port: int, path: str) -> str:
    untrusting = ssl._create_unverified_context()  # noqa: S323 - the certificate was made a moment ago
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=untrusting)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def demo(folder: Path, port: int) -> Program:
    return Program(["-m", "fastnlb", "demo", "--listen", f"127.0.0.1:{port}"], folder / "demo-output")


def test_the_demo_says_what_to_try_and_it_works_and_ctrl_c_ends_all(tmp_path: Path) -> None:
    port = free_port()
    running = demo(tmp_path, port)
    try:
        running.wait_line(re.escape(f"  curl -k https://127.0.0.1:{port}/"))
        assert "fastnlb is ready. Try:" in running.lines()
        assert get(port, "/some/path") == "Hello from behind fastnlb: you asked to GET /some/path\n"
        family = children(running.pid)
        running.interrupt_group()
        assert running.wait_exit() == 0
    finally:
        running.kill()
    assert not any(map(alive, family))
    assert "Traceback" not in running.output()


def test_the_demo_on_a_taken_port_says_so_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        running = demo(tmp_path, port := other.getsockname()[1])
        try:
            assert running.wait_exit() == 3
        finally:
            running.kill()
    line = f"fastnlb: listener quick: cannot listen on 127.0.0.1:{port}: address already in use"
    assert running.lines() == [line]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "needs --certificate"),
        (["--self-signed", "--certificate", "x.pem"], 2, "leave out the files"),
        (["--self-signed", "--protocol", "TCP"], 2, "has no TLS"),
        (["--self-signed", "--workers", "many"], 2, "neither auto nor a number"),
        (["--self-signed", "--security-policy", "none"], 2, "'none' is not one of"),
        (["--self-signed", "--server", "10.0.0.256:80"], 2, "an IPv4 address or an IPv6 address"),
        (["--self-signed", "--server", "::1:80"], 2, "stands in brackets"),
        (["--self-signed", "--server", "127.0.0.1:0"], 2, "a port from 1 to 65535"),
        (["--self-signed", "--alpn-policy", "h2"], 2, "'h2' is not one of 'HTTP1Only'"),
        (["--protocol", "TCP", "--alpn-policy", "HTTP1Only"], 2, "--alpn-policy: a TCP listener has no TLS"),
        (["--certificate", "/nowhere.pem"], 1, "/nowhere.pem"),
    ],
)
def test_quick_refuses_by_name(arguments: list[str], code: int, says: str) -> None:
    ended = fastnlb("quick", "--listen", f"127.0.0.1:{free_port()}", "--server", "127.0.0.1:9", *arguments)
    assert ended.returncode == code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_quick_serves_and_drains(folder: Path) -> None:
    port = free_port()
    arguments = ["-m", "fastnlb", "quick", "--listen", f"127.0.0.1:{port}", "--server", "127.0.0.1:9"]
    with program([*arguments, "--certificate", str(folder / "www.pem"), "--workers", "2"], folder / "out") as running:
        running.wait_line("ready")
        assert len(listening_inodes(port)) == 2
        running.signal(signal.SIGTERM)
        assert running.wait_exit() == 0
    assert not listening_inodes(port)


def test_run_names_every_problem_with_its_place(folder: Path) -> None:
    path = configuration(folder, 70000, "nonsense: 1\n")
    ended = fastnlb("run", "-c", path)
    assert ended.returncode == 1
    assert re.search(rf"^{re.escape(path)}:7:\d+: listeners\[0\]\.port: ", ended.stderr, re.MULTILINE)
    assert re.search(rf"^{re.escape(path)}:8:\d+: nonsense: ", ended.stderr, re.MULTILINE)
    assert "ready" not in ended.stderr


def test_run_makes_its_run_dir_and_keeps_its_pid_there(folder: Path) -> None:
    path = configuration(folder, free_port(), "run_dir: state/run\nlogging: {format: json}\n")
    with program(["-m", "fastnlb", "run", "-c", path, "--workers", "2"], folder / "out") as running:
        running.wait_line("ready")
        assert (folder / "state/run").stat().st_mode & 0o777 == 0o700
        assert (folder / "state/run/fastnlb.pid").read_text() == f"{running.pid}\n"
        wait_for(lambda: len(children(running.pid)) == 3, "two workers and control")
        running.signal(signal.SIGTERM)
        assert running.wait_exit() == 0
    assert not list((folder / "state/run").iterdir())
    logged = [line for line in running.lines() if line != "ready"]
    assert logged
    assert all(
        re.fullmatch(r'\{"time": "\S+Z", "level": "\w+", "source": "master", "message": ".*"\}', e) for e in logged
    )


def test_a_daemon_returns_when_ready_and_leaves_the_terminal(folder: Path) -> None:
    port = free_port()
    # capture_output reads until the last copy of the pipes is closed: a daemon that kept one would hang this.
    ended = fastnlb("run", "-c", configuration(folder, port), "--pid-file", str(folder / "pid"), "--daemon")
    assert ended.returncode == 0
    assert "ready" in ended.stderr.splitlines()
    pid = int((folder / "pid").read_text())
    for each in (pid, *children(pid)):
        standard = [descriptors(each)[fd] for fd in (0, 1, 2)]
        assert standard == ["/dev/null"] * 3
    assert listening_inodes(port)
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not alive(pid), "the daemon to end")
    assert not (folder / "pid").exists()


def test_a_daemon_that_cannot_start_says_so_with_its_exit_code(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        path = configuration(folder, port := other.getsockname()[1])
        ended = fastnlb("run", "-c", path, "--pid-file", str(folder / "pid"), "--daemon")
    assert ended.returncode == 3
    assert f"listener https: cannot listen on 127.0.0.1:{port}: address already in use" in ended.stderr
    assert not (folder / "pid").exists()


def test_an_unexpected_error_is_one_line_and_the_rest_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastnlb.cli import main  # noqa: PLC0415 - patched here

    monkeypatch.setattr(sys, "argv", ["fastnlb", "check"])
    monkeypatch.setitem(main.COMMANDS, "check", ("fastnlb.no_such_module", ""))
    for debug, lines in (("0", 1), ("1", 5)):
        monkeypatch.setenv("FASTNLB_DEBUG", debug)
        with pytest.raises(SystemExit) as left:
            main.run()
        assert left.value.code == 1
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 if lines == 1 else len(said) >= lines
        assert "no_such_module" in said[-1]
