"""Real processes for tests: started, watched through what they write and through /proc, and always ended.

Nothing sleeps for a fixed time: `wait_for` polls until its condition holds and fails with the context when it
never does.  Everything is ended by process id.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import fastnlb
from fastnlb.procstat import is_alive as alive

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
# Programs run the package this process has: a sanitizer build stands beside the tree, not in it.
PACKAGE_PATH = Path(fastnlb.__file__).resolve().parents[1]
PATIENCE = 30.0


def wait_for(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true value of `condition`; AssertionError after `seconds` without one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.005)


def wait_steady(read: Callable[[], T], what: str, quiet: float = 0.3, seconds: float = PATIENCE) -> T:
    """The value of `read` once it has not changed for `quiet` seconds; AssertionError when it never rests."""
    deadline = time.monotonic() + seconds
    value, since = read(), time.monotonic()
    while time.monotonic() - since < quiet:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what} to rest, last seen {value}")
        time.sleep(0.01)
        seen = read()
        if seen != value:
            value, since = seen, time.monotonic()
    return value


_given: deque[int] = deque(maxlen=500)  # ports, lately


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment, and that no test has just been given."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family) as sock:
            sock.bind((host, 0))
            port = int(sock.getsockname()[1])
        if port not in _given:
            _given.append(port)
            return port


@contextmanager
def taken_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A TCP port that somebody else listens on, for the length of a block."""
    with socket.create_server((host, 0)) as sock:
        yield int(sock.getsockname()[1])


def process_name(pid: int) -> str:
    """What it calls itself; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """The child processes, zombies included, in the order of their birth."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def descriptors(pid: int) -> dict[int, str]:
    """Open descriptors and what they are, such as `socket:[1234]`."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found[int(link.name)] = str(link.readlink())
    return found


def listening_inodes(port: int) -> set[str]:
    """The sockets that listen on a TCP port, as they appear in `descriptors`."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


class Program:
    """A program of ours in its own session, with its standard error in a file; `executable`: somebody else's."""

    def __init__(
        self,
        arguments: Sequence[str],
        error_file: Path,
        env: dict[str, str] | None = None,
        executable: str = sys.executable,
    ) -> None:
        self._error_file = error_file
        path = os.pathsep.join([str(PACKAGE_PATH), str(ROOT / "tests")])
        with error_file.open("wb") as stderr:
            self._popen = subprocess.Popen(
                [executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": path, **(env or {})},
                start_new_session=True,
            )
        self.pid = self._popen.pid

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll()

    def lines(self) -> list[str]:
        """What it wrote so far."""
        return self._error_file.read_text("utf-8", "replace").splitlines()

    def wait_line(self, pattern: str, seconds: float = PATIENCE) -> str:
        """The first line that matches in full; fails at once when the program ends without it."""

        def look() -> str | None:
            ended = self.exit_code is not None
            found = next((line for line in self.lines() if re.fullmatch(pattern, line)), None)
            assert found or not ended, f"ended with {self.exit_code} and no line {pattern!r}:\n{self.output()}"
            return found

        try:
            return wait_for(look, f"the line {pattern!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def wait_exit(self, seconds: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {seconds} s:\n{self.output()}") from None

    def output(self) -> str:
        return "\n".join(f"    | {line}" for line in self.lines())

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def interrupt_group(self) -> None:
        """Ctrl-C in a terminal: SIGINT to every process of the foreground group."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """Ends it and its children, however stuck they are."""
        family = [self.pid, *children(self.pid)]
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()
        for pid in family[1:]:
            if alive(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextmanager
def program(arguments: Sequence[str], error_file: Path, env: dict[str, str] | None = None) -> Iterator[Program]:
    """A Program for the length of a block."""
    started = Program(arguments, error_file, env)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def command(words: Sequence[str], error_file: Path) -> Iterator[Program]:
    """The same with a program of somebody else's."""
    started = Program(words[1:], error_file, executable=words[0])
    try:
        yield started
    finally:
        started.kill()
