"""Hot restart, from the side of the successor: what it is handed, and what it owes its predecessor.

`receive` waits for the heritage, before anything else is done.  From then on both processes have the same listening
sockets: nothing is lost whichever of them accepts.  Whoever cannot go on says `failed` and ends; who serves says
`ready`, and is master alone once `released`, which the end of the predecessor means too.
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastnlb.channel import Channel, ChannelClosed, ChannelError, Frame
from fastnlb.master.sockets import Rows
from fastnlb.master.upgrade import SUCCESSION

PATIENCE = 20.0  # seconds; the predecessor sends it all before it does anything else


class InheritError(Exception):
    """There was to be a heritage, and it did not come; the message says why."""


@dataclass(slots=True)
class Predecessor:
    """The old master, as its successor knows it.  The descriptors and sockets are the receiver's."""

    channel: Channel
    facts: dict[str, Any] = field(default_factory=dict)
    descriptors: dict[str, int] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return int(self.facts["pid"])

    def failed(self, message: str) -> None:
        """Says why there will be no successor."""
        with suppress(ChannelClosed, OSError, ValueError):
            self.channel.send("failed", message=message)

    def ready(self, unserved: list[int]) -> None:
        """This process serves all but sockets of these rows."""
        with suppress(ChannelClosed):
            self.channel.send("ready", unserved=unserved)

    def close(self) -> None:
        """Closes what nobody has taken, and the channel."""
        for sock in self.rows.values():
            sock.close()
        self.rows.clear()
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors.clear()
        self.channel.close()


def receive() -> Predecessor | None:
    """What this process was started with; None when nobody went before.  Raises InheritError."""
    number = os.environ.pop(SUCCESSION, None)
    if number is None:
        return None
    try:
        sock = socket.socket(fileno=int(number))
        os.set_inheritable(sock.fileno(), False)
        predecessor = Predecessor(Channel(sock))
    except (ValueError, OSError) as error:
        raise InheritError(f"{SUCCESSION} names no channel: {error}") from error
    deadline = time.monotonic() + PATIENCE
    try:
        while not _take(predecessor, deadline):
            pass
    except (ChannelClosed, ChannelError) as error:
        predecessor.close()
        raise InheritError(f"the heritage did not come: {error}") from error
    return predecessor


def _take(predecessor: Predecessor, deadline: float) -> bool:
    """The next frame; True when it was the last."""
    left = deadline - time.monotonic()
    poll = select.poll()  # not select: the channel has the number of the old process, which may be above 1023
    poll.register(predecessor.channel, select.POLLIN)
    if left <= 0 or not poll.poll(left * 1000):
        raise ChannelError(f"it was not complete within {PATIENCE:.0f} s")
    frame = predecessor.channel.receive()
    if frame is None:
        return False
    match frame.kind:
        case "heritage":
            predecessor.facts = frame.fields["heritage"]
            predecessor.descriptors = dict(zip(predecessor.facts["descriptors"], frame.fds, strict=True))
        case "rows":
            _adopt(predecessor, frame)
        case "health":
            predecessor.facts.setdefault("health", []).extend(frame.fields["health"])
        case "handed":
            return True
        case _:
            frame.close()
            raise ChannelError(f"a {frame.kind} frame is not for a successor" if frame.kind != "abort" else "aborted")
    return False


def _adopt(predecessor: Predecessor, frame: Frame) -> None:
    for (name, port, row), descriptor in zip(frame.fields["rows"], frame.fds, strict=True):
        predecessor.rows[name, port, row] = socket.socket(fileno=descriptor)
