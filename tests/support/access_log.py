"""The access log of a daemon as a test looks at it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from support.procs import wait_for


def parse(data: bytes) -> list[dict[str, Any]]:
    """Every line; fails when one is not whole."""
    assert data == b"" or data.endswith(b"\n"), data[-200:]
    return [json.loads(line) for line in data.splitlines()]


def read(*paths: Path) -> list[dict[str, Any]]:
    """The lines of these files, in order."""
    return parse(b"".join(path.read_bytes() for path in paths))


def wait_lines(path: Path, count: int) -> list[dict[str, Any]]:
    """Once there are so many, which must be all; in the order in which the connections began."""
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= count, f"{count} lines in {path}")
    lines = read(path)
    assert len(lines) == count
    return sorted(lines, key=lambda line: str(line["time"]))


class Reader(threading.Thread):
    """Reads a named pipe to its end, as a log shipper does."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._descriptor = os.open(path, os.O_RDONLY)
        self._got = bytearray()
        self.start()

    def run(self) -> None:
        while data := os.read(self._descriptor, 65536):
            self._got += data
        os.close(self._descriptor)

    def wait(self, count: int) -> list[dict[str, Any]]:
        wait_for(lambda: self._got.count(b"\n") >= count, f"{count} lines")
        return parse(bytes(self._got))
