"""`fastnlb top` on a terminal and in a pipe, beside a real daemon."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.procs import free_port
from support.site import Site, connection
from support.terminal import Terminal, terminal

FULL_SCREEN, LEFT = "\x1b[?1049h", "\x1b[?1049l"
CURSOR = "\x1b[?25h"


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other daemons of this user are none of this test's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("FASTNLB_URL", raising=False)


@pytest.fixture
def port(site: Site) -> int:
    made = free_port()
    site.write(made)
    site.start()
    return made


@pytest.fixture
def top(port: int) -> Iterator[Terminal]:
    with terminal("top", "--interval", "0.1") as shown:
        shown.wait_for("q quit")
        yield shown


def assert_restored(top: Terminal) -> None:
    drawn = top.drawn.decode()
    assert drawn.count(FULL_SCREEN) == drawn.count(LEFT) >= 1
    assert drawn.rindex(LEFT) > drawn.rindex("LISTENER")
    assert CURSOR in drawn[drawn.rindex("LISTENER") :]
    assert top.mode_now == top.mode


def test_it_shows_a_listener_until_q(top: Terminal, port: int) -> None:
    top.wait_for(f"127.0.0.1:{port}")
    assert top.mode_now != top.mode
    before = len(top.drawn)
    with connection(port):
        top.wait_for("%")  # the load of a worker, which takes a second look
    assert len(top.drawn) > before
    top.press("q")
    assert top.wait_exit() == 0
    assert_restored(top)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_however_it_ends_the_terminal_is_restored(top: Terminal, number: int, code: int) -> None:
    top.process.send_signal(number)
    assert top.wait_exit() == code
    assert_restored(top)


def test_it_goes_on_when_the_daemon_does_not_answer(top: Terminal, site: Site) -> None:
    site.running.kill()
    top.wait_for("this is of ")
    top.press("q")
    assert top.wait_exit() == 0
    assert_restored(top)


def test_ctrl_z_clears_up_before_it_stops(top: Terminal) -> None:
    top.press("\x1a")
    top.wait_for(LEFT)
    top.press("q")  # in a session of its own nobody could wake it: the system lets it go on
    assert top.wait_exit() == 0
    assert_restored(top)


def test_a_terminal_that_is_small_is_enough(port: int) -> None:
    with terminal("top", "--interval", "0.1", lines=8, columns=30) as top:
        top.wait_for("LISTENER")
        assert "DROPPED/S" not in top.drawn.decode()
        top.resize(50, 200)
        top.wait_for(f"127.0.0.1:{port}")
        top.press("q")
        assert top.wait_exit() == 0


@pytest.mark.parametrize("more", [[], ["--once"]])
def test_in_a_pipe_it_is_one_look_in_plain_text(port: int, more: list[str]) -> None:
    with connection(port):
        done = subprocess.run(
            [sys.executable, "-m", "fastnlb", "top", "--interval", "0.1", *more],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    (line,) = [line.split() for line in done.stdout.splitlines() if line.startswith("l0 ")]
    assert line[:4] == ["l0", f"127.0.0.1:{port}", "running", "1"]


def test_a_terminal_that_cannot_be_drawn_on_gets_plain_text(port: int) -> None:
    with terminal("top", "--interval", "0.1", TERM="dumb") as top:
        assert top.wait_exit() == 0
        assert f"127.0.0.1:{port}".encode() in top.drawn
        assert b"\x1b[?" not in top.drawn


def test_without_a_daemon_it_says_so() -> None:
    with terminal("top") as top:
        assert top.wait_exit() == 4
        assert b"no daemon of this user is running" in top.drawn
        assert FULL_SCREEN.encode() not in top.drawn


def test_what_takes_long_shows_a_sign_of_life(site: Site, port: int) -> None:
    with connection(port), terminal("stop", columns=80) as stopping:
        stopping.wait_for("draining, for at most 5 s")
        stopping.wait_for("\x1b")  # drawn over, which plain lines are not
    assert site.running.wait_exit() == 0
