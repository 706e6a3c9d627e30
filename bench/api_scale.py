"""How long the API takes with 2,000 listeners and 10,000 servers: a page of a list, a change, a whole state.

`python -m bench.api_scale` starts a daemon of its own in store mode and prints medians of wall time.  The targets (a
page in 100 ms, a change in 1 s) are those of a quiet machine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.processes import free_port

LISTENERS, SERVERS_EACH = 2000, 5
ROUNDS = 9
JSON = {"Content-Type": "application/json", "Host": "localhost"}


def whole_state() -> dict[str, Any]:
    groups = [
        {
            "name": f"g{n}",
            "health_check": {"enabled": False},
            "servers": [
                {"address": f"10.{n // 200}.{n % 200}.{each + 1}", "port": 80} for each in range(SERVERS_EACH)
            ],
        }
        for n in range(LISTENERS)
    ]
    listeners = [
        {
            "name": f"l{n}",
            "protocol": "TCP",
            "address": f"127.{1 + n // 200}.{n % 200}.1",
            "port": 9000,
            "server_group": f"g{n}",
            "enabled": n == 0,
        }
        for n in range(LISTENERS)
    ]
    return {"server_groups": groups, "listeners": listeners}


@contextlib.contextmanager
def daemon() -> Iterator[int]:
    """Its admin port."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        base = Path(folder) / "base.yaml"
        base.write_text(
            f"version: 1\nworkers: 2\nrun_dir: {folder}/run\nadmin: {{listen: '127.0.0.1:{port}'}}\n", "utf-8"
        )
        words = [sys.executable, "-m", "fastnlb", "run", "--state-dir", f"{folder}/state", "-c", str(base)]
        started = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            assert started.stderr is not None  # noqa: S101 - for the type checker
            while (line := started.stderr.readline()) and line.strip() != "ready":
                pass
            subprocess.Popen(["cat"], stdin=started.stderr, stdout=subprocess.DEVNULL)  # a full pipe would block it
            yield port
        finally:
            started.terminate()
            started.wait(30)


def ask(port: int, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), JSON)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return dict(json.loads(text))
    finally:
        connection.close()


def median(act: Callable[[int], object]) -> float:
    """Milliseconds."""
    taken = []
    for number in range(ROUNDS):
        begin = time.perf_counter()
        act(number)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


def main() -> None:
    with daemon() as port, socket.create_connection(("127.0.0.1", port)):
        state = whole_state()
        begin = time.perf_counter()
        ask(port, "POST", "apply", state)
        print(f"apply {LISTENERS} listeners, {LISTENERS * SERVERS_EACH} servers: {time.perf_counter() - begin:.2f} s")
        for name, act in (
            ("page of 100 listeners", lambda n: ask(port, "GET", "listeners?limit=100")),
            ("page of 100 groups", lambda n: ask(port, "GET", "server-groups?limit=100")),
            ("one listener", lambda n: ask(port, "GET", "listeners/l7")),
            ("change of a listener", lambda n: ask(port, "PATCH", "listeners/l7", {"idle_timeout": 10 + n})),
            ("dry run of it", lambda n: ask(port, "PATCH", "listeners/l7?dry_run=true", {"idle_timeout": 99 + n})),
        ):
            print(f"{name}: {median(act):.0f} ms")


if __name__ == "__main__":
    main()
