"""A writer that is killed at random instants: no acknowledged write is lost, and none is there by halves."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from pathlib import Path

from support.store_writes import Writes

from fastnlb.control.store.store import Store

CHANGES = 200
AT_MOST = 10  # by one writer
ACK = struct.Struct("=I")


def test_a_killed_writer_loses_no_acknowledged_write_and_leaves_no_half_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    seed = str(random.SystemRandom().random())
    chance = random.Random(f"kills {seed}")  # noqa: S311
    writes = Writes(seed)
    done = kills = 0
    while done < CHANGES:
        acknowledged = killed_writer(path, writes, done + 1, chance)
        found = writes.assert_whole(path)
        assert found in (acknowledged, acknowledged + 1), f"seed {seed}: {acknowledged} acknowledged, {found} there"
        done = found
        kills += 1
    assert kills >= CHANGES // AT_MOST
    assert not left_over(path)


def killed_writer(path: Path, writes: Writes, first: int, chance: random.Random) -> int:
    """Starts it, lets it make a few changes and kills it at once or in the middle of one; the last acknowledged."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        write_on(path, writes, first, writer)
    os.close(writer)
    acknowledged = first - 1
    with os.fdopen(reader, "rb", buffering=0) as acks:
        for _ in range(chance.randint(0, AT_MOST - 1)):
            acknowledged = next_ack(acks.fileno(), acknowledged)
        time.sleep(chance.uniform(0, 0.02))  # the instant is what the test is about
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "it ended by itself"
        while (number := next_ack(acks.fileno(), 0)) > 0:
            acknowledged = number
    return acknowledged


def write_on(path: Path, writes: Writes, first: int, acks: int) -> None:
    try:
        store = Store.open(path)
        for number in range(first, first + AT_MOST):
            writes.make(store, number)
            os.write(acks, ACK.pack(number))
        signal.pause()
    finally:
        os._exit(1)


def next_ack(descriptor: int, otherwise: int) -> int:
    data = os.read(descriptor, ACK.size)
    return int(ACK.unpack(data)[0]) if data else otherwise


def left_over(path: Path) -> list[Path]:
    """What was half taken in, and is there still when the next one has begun to write."""
    store = Store.open(path)
    store.acquire()
    store.close()
    return list((path / "material").glob(".*"))
