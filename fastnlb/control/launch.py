"""What the control process is started with.  Its own code is loaded by itself, in the forked child.

The master and the workers have no use for an event loop, a DNS library or an HTTP server, and would have them in
memory for ever: this is all of it that they import.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastnlb.board import Board
from fastnlb.channel import Channel
from fastnlb.control.source import Start
from fastnlb.model import Settings, Snapshot
from fastnlb.stats.page import Page


class Seat(Protocol):
    """What the master gives a child."""

    @property
    def channel(self) -> Channel: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """Memory of all processes of the daemon; `elder` has the counters of the one that this one took over from."""

    board: Board
    page: Page
    elder: Page | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How the daemon was started: with which settings and Snapshot, read from where (None: from no file)."""

    settings: Settings
    snapshot: Snapshot
    start: Start | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket, borrowed from the master.  `trusted`: whoever can connect to it may do everything."""

    listening: socket.socket
    trusted: bool = False


def control_main(seat: Seat, *, shared: Shared, launch: Launch, doors: Callable[[], list[Door]] = list) -> int:
    """The life of the control process; its exit code.  `doors`: where clients come from."""
    from fastnlb.control.run import main  # noqa: PLC0415  see above

    return main(seat, shared, launch, doors())


def preload() -> None:
    """All that it may ever load, for a process about to become somebody who may not be able to read the program."""
    from fastnlb.control import run  # noqa: F401, PLC0415
    from fastnlb.control.api import server  # noqa: F401, PLC0415
