"""What tests ask of a tiny daemon (support.tiny_daemon): who answers, who lives, who was born when."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from support.procs import Program, alive, children, wait_for

Start = Callable[..., Program]
"""The fixture `start`: start(workers, port, ..., KEY=value) runs one."""


def ask(port: int) -> tuple[int, int, int]:
    """Who answers on a port: (worker index, pid, port)."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        return read_answer(sock)


def read_answer(sock: socket.socket) -> tuple[int, int, int]:
    text = b""
    while not text.endswith(b"\n"):
        data = sock.recv(100)
        assert data, "closed without an answer"
        text += data
    index, pid, port = map(int, text.split())
    return index, pid, port


def answers(port: int) -> bool:
    try:
        return ask(port) is not None
    except OSError:
        return False


def workers_of(program: Program, count: int) -> list[int]:
    """The pids of `count` living workers, once there are so many and nothing else."""

    def look() -> list[int]:
        pids = children(program.pid)
        return pids if len(pids) == count and all(map(alive, pids)) else []

    return wait_for(look, f"{count} living workers of {program.pid}")


def births(folder: Path, index: int) -> list[float]:
    try:
        lines = (folder / "births").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [float(when) for each, when in map(str.split, lines) if int(each) == index]
