"""The daemon as one value for people and programs: what `fastnlb status` shows.

Processes are as the master told last; connections and health are read from shared memory at this moment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from fastnlb import __version__
from fastnlb.board import Health, Reason
from fastnlb.model import Listener, Offer, Server, ServerGroup


class Board(Protocol):
    """What a status needs of the shared board."""

    def health(self, cell: int) -> tuple[Health, Reason]: ...

    def server_connections(self, cell: int) -> int: ...

    def listener_connections(self, cell: int) -> int: ...


class Page(Protocol):
    """What it needs of the counter page."""

    def row(self, row: int) -> dict[str, int]: ...

    def total(self) -> dict[str, int]: ...


def status(
    state: dict[str, Any],
    offer: Offer,
    page: Page,
    board: Board,
    elder: Page | None = None,
    *,
    counters: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """JSON data; ages in seconds.  `elder` is the counter page of the process that still drains.

    `counters`: what was counted for each listener, by its name; what is zero need not be there.
    """
    now = time.monotonic()
    return {
        "version": __version__,
        "pid": state.get("pid"),
        "age": _age(state, now),
        "shutdown_timeout": state.get("shutdown_timeout"),
        "generation": state.get("generation"),
        "workers": [_worker(worker, page, now) for worker in state.get("workers", [])],
        "draining": [_draining(each, elder, now) for each in state.get("draining", [])],
        "listeners": [
            {**_listener(each, offer, board), "counters": dict(counters.get(each.name, ()))}
            for each in offer.snapshot.listeners
        ],
        "server_groups": [_group(group, offer, board) for group in offer.snapshot.server_groups],
    }


def _worker(worker: dict[str, Any], page: Page, now: float) -> dict[str, Any]:
    numbers = page.row(worker["row"])
    told = {name: value for name, value in numbers.items() if value}
    return {**_age_for_since(worker, now), "connections": numbers["connections"], "counters": told}


def _draining(process: dict[str, Any], elder: Page | None, now: float) -> dict[str, Any]:
    connections = None if elder is None else elder.total()["connections"]
    return {**_age_for_since(process, now), "connections": connections}


def _age_for_since(thing: dict[str, Any], now: float) -> dict[str, Any]:
    shown = {key: value for key, value in thing.items() if key not in ("since", "row")}
    return {**shown, "age": _age(thing, now)}


def _age(thing: dict[str, Any], now: float) -> float:
    return round(max(0.0, now - float(thing.get("since", now))), 1)


def _listener(listener: Listener, offer: Offer, board: Board) -> dict[str, Any]:
    cell = offer.cells.listeners.get(listener.name, -1)
    return {
        "name": listener.name,
        "protocol": listener.protocol,
        "address": listener.address,
        "port": listener.port,
        "last_port": listener.last_port or None,
        "enabled": listener.enabled,
        "server_group": listener.server_group,
        "connections": board.listener_connections(cell) if cell >= 0 else None,
    }


def _group(group: ServerGroup, offer: Offer, board: Board) -> dict[str, Any]:
    return {
        "name": group.name,
        "servers": [_server(group, server, offer, board) for server in group.servers],
    }


def _server(group: ServerGroup, server: Server, offer: Offer, board: Board) -> dict[str, Any]:
    cell = offer.cells.servers.get((group.name, server.address, server.port), -1)
    shown = {"address": server.address, "port": server.port, "host": server.host or None, "weight": server.weight}
    if cell < 0:
        return {**shown, "health": None, "reason": None, "connections": None}
    health, reason = board.health(cell)
    told = reason.name if reason is not Reason.NONE else None
    return {**shown, "health": health.name, "reason": told, "connections": board.server_connections(cell)}
