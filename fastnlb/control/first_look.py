"""The addresses of host names before there is a control process: what a daemon starts with.

A child process looks them up, within a few seconds for all together, and writes what it found to a pipe.  So whoever
calls this, which is about to become the master, starts no thread and loads no library for it, and cannot be held up.
A name that does not resolve in that time is a warning: it is looked up again as soon as the daemon runs.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from fastnlb.control.answer import Answer, failed
from fastnlb.control.naming import host_names, no_server_yet, with_addresses, without_servers
from fastnlb.model import Resolver, Snapshot

SECONDS = 5.0
GRACE_SECONDS = 1.0  # for a child that is late

log = logging.getLogger("fastnlb.control")


def first_look(snapshot: Snapshot, seconds: float = SECONDS) -> Snapshot:
    """`snapshot` with the servers that its host names stand for.  To be called before the first fork of a daemon."""
    names = sorted(host_names(snapshot))
    if not names:
        return snapshot
    answers = _answers(names, snapshot.resolver, seconds)
    for name in names:
        answer = answers.get(name) or failed("its look-up did not end")
        if not answer.good:
            log.warning("%s does not resolve (%s): it has no address yet", name, answer.reason)
    filled = with_addresses(snapshot, {name: answer.over(()) for name, answer in answers.items()})
    for group in without_servers(filled):
        log.warning("%s", no_server_yet(group))
    return filled


def _answers(names: list[str], settings: Resolver, seconds: float) -> dict[str, Answer]:
    """Those that a child has in time."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        child = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        return {}
    if child == 0:
        _answer_and_leave(writer, names, settings, seconds)
    os.close(writer)
    try:
        return _decode(_read(reader, time.monotonic() + seconds + GRACE_SECONDS))
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _read(reader: int, deadline: float) -> bytes:
    """Until the end, or nothing when it does not come in time."""
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            part = os.read(reader, 65536)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return b""


def _decode(data: bytes) -> dict[str, Answer]:
    """What `_encode` made; a child that died half-way left nothing of use."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return {name: Answer(_kind(ipv4), _kind(ipv6), ttl, why) for name, (ipv4, ipv6, ttl, why) in found.items()}


def _encode(answers: Mapping[str, Answer]) -> bytes:
    found = {name: [each.ipv4, each.ipv6, each.ttl, each.reason] for name, each in answers.items()}
    return json.dumps(found).encode()


def _kind(addresses: list[str] | None) -> tuple[str, ...] | None:
    return None if addresses is None else tuple(addresses)


# The child


def _answer_and_leave(writer: int, names: list[str], settings: Resolver, seconds: float) -> None:
    """Never returns: above us on the stack is the command."""
    code = 1
    try:
        signal.alarm(int(seconds + GRACE_SECONDS) + 1)  # for the case that nobody is left to wait for it
        from fastnlb.control.lookup import look_up_all  # noqa: PLC0415  here, and not in what is to be the master

        with open(writer, "wb") as file:
            file.write(_encode(look_up_all(names, settings, seconds)))
        code = 0
    finally:
        os._exit(code)
