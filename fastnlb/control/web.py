"""HTTP for people and programs: from the first client to the end.

A daemon that nobody asks anything has loaded nothing for it: what answers (fastnlb/control/api) is imported for the
first client, in a thread, while health checks and names go on.  The sockets stay the master's; clients that come
meanwhile wait in their queues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastnlb.control.launch import Door

if TYPE_CHECKING:
    from fastnlb.control.api.server import Servers
    from fastnlb.control.run import Control

LOADING_SECONDS = 0.5  # that the end waits for what is being loaded


class Web:
    """Closed until `open`, which may be called again; `close` lets answers that are under way reach their clients."""

    def __init__(self, control: Control, doors: Sequence[Door]) -> None:
        self._control = control
        self._doors = doors
        self._watching = False
        self._opened = False
        self._opening: asyncio.Task[None] | None = None
        self._servers: Servers | None = None

    def open(self) -> None:
        if not self._opened:
            self._opened = True
            self._watch(True)

    async def close(self) -> None:
        self._watch(False)
        if self._opening is not None:
            await asyncio.wait({self._opening}, timeout=LOADING_SECONDS)
        if self._servers is not None:
            await self._servers.close()

    def _watch(self, wanted: bool) -> None:
        if wanted == self._watching:
            return
        self._watching = wanted
        for door in self._doors:
            if wanted:
                self._control.loop.add_reader(door.listening, self._on_first_client)
            else:
                self._control.loop.remove_reader(door.listening)

    def _on_first_client(self) -> None:
        self._watch(False)
        self._opening = self._control.begin(self._load())

    async def _load(self) -> None:
        servers = await asyncio.to_thread(_import_servers)
        self._servers = servers(self._control, self._doors)
        await self._servers.open()


def _import_servers() -> type[Servers]:
    from fastnlb.control.api.server import Servers  # noqa: PLC0415  half a second that only clients are worth

    return Servers
