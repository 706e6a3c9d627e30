"""The work a proxy is given; each scenario returns how many units it did."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
TRANSFER = 256 * MIB
SECONDS = 2


@dataclass(frozen=True)
class Scenario:
    """`run(port, folder)` does the work and returns its units; cost is reported in `unit` with `scale` ns each."""

    name: str
    unit: str
    scale: float
    needs: str
    run: Callable[[int, Path], int]
    tls: bool = True

    @property
    def possible(self) -> bool:
        return shutil.which(self.needs) is not None


def _pinned(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["taskset", "-c", "1", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _output(command: list[str]) -> str:
    out, err = _pinned(command).communicate(timeout=120)
    return out + err


def _connections(*options: str) -> Callable[[int, Path], int]:
    def run(port: int, folder: Path) -> int:
        base = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(SECONDS), "-www", "/"]
        return int(re.findall(r"(\d+) connections in", _output([*base, *options]))[-1])

    return run


def _transfers(count: int, upload: bool, scheme: str = "https") -> Callable[[int, Path], int]:
    def run(port: int, folder: Path) -> int:
        source = folder / "upload"
        if upload and not source.exists():
            source.write_bytes(bytes(TRANSFER))
        url = f"{scheme}://127.0.0.1:{port}"
        what = ["-H", "Expect:", "-T", str(source), f"{url}/up"] if upload else [f"{url}/bytes/{TRANSFER}"]
        running = [_pinned(["curl", "-sk", "-o", "/dev/null", *what]) for _ in range(count)]
        for one in running:
            one.communicate(timeout=300)
            if one.returncode:
                raise SystemExit(f"curl ended with {one.returncode}")
        return count * TRANSFER // 1024

    return run


def _requests(connections: int, scheme: str = "https", *options: str) -> Callable[[int, Path], int]:
    def run(port: int, folder: Path) -> int:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", *options, f"{scheme}://127.0.0.1:{port}/"]
        return int(re.findall(r"(\d+) requests in", _output(command))[0])

    return run


SCENARIOS = (
    Scenario("new connection, TLS 1.3", "us", 1e3, "openssl", _connections()),
    Scenario("new connection, TLS 1.2", "us", 1e3, "openssl", _connections("-tls1_2")),
    Scenario("download, 1 connection", "ns/KiB", 1, "curl", _transfers(1, upload=False)),
    Scenario("download, 8 connections", "ns/KiB", 1, "curl", _transfers(8, upload=False)),
    Scenario("upload, 1 connection", "ns/KiB", 1, "curl", _transfers(1, upload=True)),
    Scenario("upload, 8 connections", "ns/KiB", 1, "curl", _transfers(8, upload=True)),
    Scenario("small request, 1 connection", "us", 1e3, "wrk", _requests(1)),
    Scenario("small request, 64 connections", "us", 1e3, "wrk", _requests(64)),
    *(
        Scenario(
            f"plain: new connection, {count} at a time",
            "us",
            1e3,
            "wrk",
            _requests(count, "http", "-H", "Connection: close"),
            tls=False,
        )
        for count in (1, 16)
    ),
    *(
        Scenario(
            f"plain: {what}, {count} connection{'s'[: count - 1]}",
            "ns/KiB",
            1,
            "curl",
            _transfers(count, what == "upload", "http"),
            tls=False,
        )
        for what in ("download", "upload")
        for count in (1, 8, 32)
    ),
    Scenario("plain: small request, 1 connection", "us", 1e3, "wrk", _requests(1, "http"), tls=False),
    Scenario("plain: small request, 64 connections", "us", 1e3, "wrk", _requests(64, "http"), tls=False),
)
