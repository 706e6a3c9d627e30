"""A daemon that is followed by its successors: which process is master now, and commands to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.procs import alive, free_port, wait_for
from support.site import HEAD, Site


class Lineage(Site):
    """A Site whose master changes.  Its run_dir is in its folder."""

    @property
    def head(self) -> str:
        return HEAD + f"run_dir: {self.folder}/run\n"

    def serve(self) -> int:
        """Start it with a plain listener; the port of that."""
        port = free_port()
        self.write(port, head=self.head)
        self.start()
        return port

    @property
    def master(self) -> int:
        """The process that the pid file names."""
        return int((self.folder / "run" / "fastnlb.pid").read_text())

    def tell(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`fastnlb WORD...` to this daemon."""
        return subprocess.run(self._words(*words), capture_output=True, text=True, timeout=150, check=False)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """The same, without a wait for its end."""
        return subprocess.Popen(self._words(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self) -> dict[str, Any]:
        answer = self.tell("status", "--output", "json")
        assert answer.returncode == 0, answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def upgrade(self) -> int:
        """The new master, which serves."""
        before = self.master
        done = self.tell("upgrade")
        assert done.returncode == 0, f"{done.stderr}\n{self.running.output()}"
        wait_for(lambda: self.master != before, "the pid file to name the successor")
        assert done.stdout == f"process {self.master} serves, process {before} drains its connections\n"
        return self.master

    def upgrade_alone(self) -> int:
        """The same, and its predecessor is gone."""
        before = self.master
        after = self.upgrade()
        wait_for(lambda: not alive(before), "the predecessor to end")
        return after

    def processes(self) -> list[int]:
        """All of the daemon, of every generation."""
        names = (entry.name for entry in Path("/proc").iterdir())
        return [pid for pid in map(int, filter(str.isdecimal, names)) if self._is_ours(pid)]

    def end(self) -> None:
        self.kill_all()
        super().end()

    def kill_all(self) -> None:
        if self.program is None:
            return
        for _ in range(3):  # one may be about to fork
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.program.kill()

    def _is_ours(self, pid: int) -> bool:
        with suppress(ProcessLookupError):
            return os.getsid(pid) == self.running.pid and alive(pid)
        return False

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "fastnlb", *words, "--admin", f"{self.folder}/run/admin.sock"]
