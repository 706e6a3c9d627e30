"""A program of ours on a terminal: what it draws, keys, and whether the terminal is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fastnlb.procstat import process_state
from support.procs import PACKAGE_PATH, PATIENCE, wait_for


class Terminal:
    """A pseudo-terminal with `fastnlb` on it."""

    def __init__(self, arguments: Sequence[str], lines: int, columns: int, env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._slave = slave
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("=4H", lines, columns, 0, 0))
        self.mode = termios.tcgetattr(slave)
        self.drawn = b""
        known = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "fastnlb", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**known, "TERM": "xterm", "PYTHONPATH": str(PACKAGE_PATH), **env},
            start_new_session=True,
        )

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Until it has drawn this; what came before counts too."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self.drawn:
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain for {text!r}: {self.drawn[-1000:]!r}"
            readable, _, _ = select.select([self._master], [], [], left)
            if readable:
                self._read()

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C, once it waits: Python looks at a signal before it reads and after, and not in between."""
        wait_for(lambda: process_state(self.process.pid) == "S", "it to wait for a key")
        self.process.send_signal(signal.SIGINT)

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("=4H", lines, columns, 0, 0))

    def wait_exit(self, seconds: float = PATIENCE) -> int:
        """Its exit code; what it still draws is taken in meanwhile, or it could not end."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still runs: {self.drawn[-1000:]!r}"
            if select.select([self._master], [], [], 0.01)[0]:
                self._read()
        while select.select([self._master], [], [], 0)[0]:
            self._read()
        return self.process.returncode

    @property
    def mode_now(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self._master, self._slave):
            os.close(fd)

    def _read(self) -> None:
        with suppress(OSError):
            self.drawn += os.read(self._master, 65536)


@contextmanager
def terminal(*arguments: str, lines: int = 40, columns: int = 160, **env: str) -> Iterator[Terminal]:
    """For the length of a block."""
    made = Terminal(arguments, lines, columns, env)
    try:
        yield made
    finally:
        made.close()
