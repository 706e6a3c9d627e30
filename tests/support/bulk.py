"""Bulk that shows loss, repetition and disorder: every place in the stream has bytes of its own."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Callable

from support.procs import wait_for, wait_steady
from support.rig import Rig

BLOCK = random.Random(1).randbytes((1 << 20) + 7)  # noqa: S311  the same in every run


def digest_of(size: int) -> bytes:
    """Of the first `size` bytes of the stream."""
    found = hashlib.sha256()
    while size > 0:
        found.update(BLOCK[:size])
        size -= len(BLOCK)
    return found.digest()


def pour(sock: socket.socket, size: int) -> None:
    while size > 0:
        sock.sendall(BLOCK[:size])
        size -= len(BLOCK)


def swallow(sock: socket.socket, size: int) -> bytes:
    """The digest of exactly so many bytes."""
    found = hashlib.sha256()
    while size > 0:
        data = sock.recv(min(size, 1 << 20))
        if not data:
            raise ConnectionError(f"the stream ended {size} bytes too early")
        found.update(data)
        size -= len(data)
    return found.digest()


def swallow_to_the_end(sock: socket.socket) -> tuple[int, bytes, bool]:
    """How many bytes came, their digest, and whether a reset was the end of them."""
    found, size = hashlib.sha256(), 0
    try:
        while data := sock.recv(1 << 20):
            found.update(data)
            size += len(data)
    except ConnectionResetError:
        return size, found.digest(), True
    return size, found.digest(), False


def at_once(*tasks: Callable[[], object]) -> None:
    """Each in a thread of its own, to the end; their errors are the test's."""
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()


def wait_stuck(one: Rig, pipes: int = 1) -> None:
    """Until that many pipes are full and nothing moves any more."""
    wait_for(lambda: one.counters()["pipes_lent"] >= pipes, "a pipe to be lent")

    def look() -> tuple[int, int, int]:
        numbers = one.counters()
        return numbers["bytes_up"], numbers["bytes_down"], numbers["turns"]

    wait_steady(look, "the bytes and the loop")
    assert one.counters()["pipes_lent"] >= pipes
