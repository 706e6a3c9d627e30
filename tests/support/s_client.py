"""`openssl s_client`, spoken to as in a terminal: a line goes out when it is time for it, and everything is kept."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.procs import PATIENCE, wait_for

VERSIONS = {"TLSv1.0": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
HELLO = "hello from outside"
WEAK = ("-cipher", "DEFAULT@SECLEVEL=0")  # what it takes to speak TLS 1.0 and 1.1 at all


class Talk:
    """One connection of it."""

    def __init__(self, process: subprocess.Popen[bytes], file: Path) -> None:
        self.process, self._file = process, file

    @property
    def text(self) -> str:
        return self._file.read_text("utf-8", "replace")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, pattern: str) -> str:
        """The line that matches; fails as soon as the client has ended without it."""

        def look() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.text, re.MULTILINE)
            assert found or not ended, f"no {pattern!r} in\n{self.text}"
            return found

        return wait_for(look, pattern).group()


@contextmanager
def talk(folder: Path, port: int, *options: str | Path) -> Iterator[Talk]:
    """s_client connected to a port of loopback; at the end of the block the user closes the input."""
    file = folder / "s_client.out"
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *map(str, options)]
    with file.open("wb") as output:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=output, stderr=output)
    try:
        yield Talk(process, file)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.communicate()


def served(folder: Path, port: int, *options: str | Path) -> str:
    """What it wrote in a visit that must succeed: a line goes to the server and comes back.

    The line may come out in the middle of another one: s_client writes some of its own late.
    """
    with talk(folder, port, *options) as one:
        one.wait(r"^---\n(New|Reused), ")
        one.say(HELLO)
        one.wait(HELLO)
    return one.text


def refused(folder: Path, port: int, *options: str | Path) -> str:
    """What it wrote in a visit that the server must end unasked."""
    with talk(folder, port, *options) as one:
        wait_for(lambda: one.process.poll() is not None, "the server to refuse")
    return one.text


def pinned(version: str) -> Sequence[str]:
    """The options for one version of TLS and no other."""
    return (VERSIONS[version], *(WEAK if version in ("TLSv1.0", "TLSv1.1") else ()))
