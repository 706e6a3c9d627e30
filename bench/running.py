"""Proxies while they run: an Estate starts origins and proxies when they are asked for, and ends them at its end."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import procfs
from bench._load import Target
from bench.clients import Client
from bench.peers import Peer, Setup, Wish
from bench.processes import HOST, LOAD_PROCESSOR, PROXY_PROCESSOR, Started, free_port, wait_listening


class CannotStartError(Exception):
    """Why a proxy does not run, in one line."""


@dataclass(frozen=True)
class Site:
    """One running proxy in one Setup."""

    peer: Peer
    setup: Setup
    process: Started
    port: int
    folder: Path
    origin: Started

    def target(self, client: Client | None) -> Target:
        """None is a client without TLS."""
        if client is None:
            return Target(HOST, self.port)
        return Target(HOST, self.port, client.context(self.folder), client.names)

    def processor_ns(self) -> int:
        """Raises ProcessGoneError."""
        return procfs.processor_ns(self.process.pid)

    def resident_bytes(self) -> int:
        """Raises ProcessGoneError."""
        return procfs.resident_bytes(self.process.pid)

    def reload(self) -> None:
        assert self.peer.reload_signal is not None  # noqa: S101  others refuse such a Setup
        self.process.signal(self.peer.reload_signal)


class Estate:
    """Everything that runs for one family of scenarios, in front of one origin."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._origin: tuple[Started, int] | None = None

    def __enter__(self) -> Estate:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def site(self, peer: Peer, setup: Setup) -> Site:
        """A proxy that accepts connections, until the end of the block.  Raises CannotStartError."""
        return self._stack.enter_context(self.fresh(peer, setup))

    @contextlib.contextmanager
    def fresh(self, peer: Peer, setup: Setup) -> Iterator[Site]:
        """A proxy for a block of its own.  Raises CannotStartError."""
        if reason := peer.refuses(setup):
            raise CannotStartError(reason)
        origin, behind = self._behind()
        wish = Wish(setup, self._folder, free_port(), behind)
        process = Started(peer.prepare(wish), PROXY_PROCESSOR, ends_on=peer.end_signal)
        try:
            if not wait_listening(wish.port, peer.start_seconds, process):
                raise CannotStartError(f"did not start: {process.last_words()}")
            yield Site(peer, setup, process, wish.port, self._folder, origin)
        finally:
            process.stop()

    def _behind(self) -> tuple[Started, int]:
        """The origin and its port.  Raises CannotStartError."""
        if self._origin is None:
            port = free_port()
            process = Started([sys.executable, "-m", "bench.origin", HOST, str(port)], LOAD_PROCESSOR)
            self._stack.callback(process.stop)
            if not wait_listening(port, process=process):
                raise CannotStartError(f"the origin did not start: {process.last_words()}")
            self._origin = process, port
        return self._origin


def take_the_other_processor() -> None:
    """This process, its threads and children have the load's processor and as many descriptors as there may be."""
    os.sched_setaffinity(0, {LOAD_PROCESSOR})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
