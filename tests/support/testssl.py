"""testssl.sh, which looks at a server from outside with sockets of its own: scans that run side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support.estate import Estate

# Protocols, the server's order of ciphers (and with it all it has), forward secrecy, and weaknesses.
SECTIONS = ("-p", "-P", "-f", "-U")
DEFAULTS = "-S"  # what the server shows and says unasked: certificates, staples, extensions, tickets
AT_ONCE = 5  # half of a scan is waiting
LONGEST = 280


@dataclass(frozen=True)
class Finding:
    severity: str
    text: str


def command_line(name: str, port: int, trust: Path, findings: Path, *more: str) -> list[str]:
    """No name is looked up and nobody is asked but the server: the address and the authorities are given."""
    words = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--openssl", "/usr/bin/openssl"]
    words += ["--nodns", "none", "--ip", "127.0.0.1", "--add-ca", str(trust), "--jsonfile", str(findings)]
    return [*words, *SECTIONS, *more, f"https://{name}:{port}/"]


class Scans:
    """Scans of listeners of an Estate, begun at once; `findings` waits for one of them.

    listeners: the name of each, and sections it is to have besides SECTIONS.
    """

    def __init__(self, site: Estate, listeners: Mapping[str, Sequence[str]], folder: Path) -> None:
        self._site, self._folder = site, folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = False
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._scans: dict[str, Future[dict[str, Finding]]] = {
            name: self._pool.submit(self._scan, name, *more) for name, more in listeners.items()
        }

    def findings(self, listener: str) -> dict[str, Finding]:
        """By testssl's identifiers, such as `TLS1_2` and `OCSP_stapling <cert#1>`."""
        return self._scans[listener].result()

    def _scan(self, listener: str, *more: str) -> dict[str, Finding]:
        folder = self._folder / listener
        folder.mkdir()
        file, output = folder / "findings.json", folder / "output"
        words = command_line("default.test", self._site.ports[listener], self._site.trust, file, *more)
        with output.open("wb") as sink:
            process = self._running[listener] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=folder,
                env={**os.environ, "TMPDIR": str(folder)},
                start_new_session=True,
            )
        try:
            if not self._ended:
                process.wait(LONGEST)
        finally:
            _end(process)
        found = {each["id"]: Finding(each["severity"], each["finding"]) for each in json.loads(file.read_text())}
        assert "scanTime" in found, f"it did not come to its end:\n{output.read_text('utf-8', 'replace')}"
        return found

    def close(self) -> None:
        self._ended = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self._running.values()):
            _end(process)
        self._pool.shutdown()


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started; nothing when it has ended by itself."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
