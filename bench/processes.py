"""Processes of the benchmark: started on one processor, silent, and ended with all their children in any case."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import fastnlb
from bench import procfs
from fastnlb.procstat import process_state

PROCESSORS = sorted(os.sched_getaffinity(0))
PROXY_PROCESSOR, LOAD_PROCESSOR = PROCESSORS[0], PROCESSORS[-1] if len(PROCESSORS) < 3 else PROCESSORS[1]
HOST = "127.0.0.1"
OUR_LIBRARY_SETTINGS = str(Path(fastnlb.__file__).with_name("tls") / "openssl.cnf")
PATIENCE = 10.0  # seconds for a process to end once it was told to


class Started:
    """A process pinned to `processor`; what it writes is kept for the one line that says why it did not start."""

    def __init__(self, command: Sequence[str], processor: int, *, ends_on: int = signal.SIGTERM) -> None:
        self._ends_on = ends_on
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        # A session of its own, so that Ctrl-C reaches only us, who then end it in order.
        self._process = subprocess.Popen(
            ["taskset", "-c", str(processor), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What fastnlb tells its TLS library is nothing that peers would tell theirs.
            env={name: value for name, value in os.environ.items() if value != OUR_LIBRARY_SETTINGS},
        )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Of its end: an exit code, or a negative signal number."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line it wrote, or how it ended."""
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else f"it ended with {self.status}" if not self.alive else "it said nothing"

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        members = list(procfs.family(self.pid)) if self.alive else []
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self._ends_on)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)  # no longer: the kernel may hold it, and the others are to be ended too
        _kill([pid for pid in members if pid != self.pid])
        self._output.close()


def _kill(members: Sequence[int]) -> None:
    """Children that their parent has left behind; they get the time to see its end by themselves."""
    deadline = time.monotonic() + 2
    while any(process_state(pid) not in ("", "Z", "X") for pid in members) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in members:
        if process_state(pid) not in ("", "Z", "X"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


def wait_listening(port: int, seconds: float = 10, process: Started | None = None) -> bool:
    """Whether somebody accepts there in time; a process that has ended is not waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process is None or process.alive):
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGTERM ends the benchmark as Ctrl-C does: through every `finally`."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
