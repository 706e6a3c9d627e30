"""Where reloads of the control process are played: loader, channel and what is in force are the test's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastnlb.channel import ChannelClosed, decode_snapshot, read_payload
from fastnlb.config.errors import Problem
from fastnlb.config.load import Loaded
from fastnlb.control.answer import Answer
from fastnlb.control.names import Names
from fastnlb.control.proposals import Proposals
from fastnlb.control.reload import Reloads
from fastnlb.model import Certificate, Listener, Resolver, Server, ServerGroup, Settings, Snapshot, Staple

PEM, KEY, STAPLE = Path("/c/www.pem"), Path("/c/www.key"), Path("/c/www.ocsp")


def snapshot(port: int = 1, chain: bytes = b"old", staple: bytes | None = None) -> Snapshot:
    return Snapshot(
        listeners=(Listener("l", "TCPSSL", "127.0.0.1", port, "g", certificate="www"),),
        server_groups=(ServerGroup("g", (Server("127.0.0.1", 9),)),),
        certificates=(Certificate("www", chain, b"key", staple=Staple(staple, 9) if staple else None),),
    )


def loaded(what: Snapshot, *warnings: Problem, **settings: Any) -> Loaded:
    return Loaded(what, Settings(**settings), warnings, "f.yaml")


class FakeLoader:
    """Gives what it is told to, and counts; an exception is raised."""

    staged: object | None = None
    acknowledged = False
    behind = False

    def __init__(self) -> None:
        self.next: Loaded | Exception = loaded(snapshot())
        self.fresh: Loaded | Exception = loaded(snapshot())
        self.calls: list[str] = []
        self.staples: frozenset[Path] = frozenset()

    def settle(self, known: bool) -> None:
        self.settled = known

    def load(self, *, whole: bool = True) -> Loaded:
        return self._give("load", self.next)

    def refresh(self) -> Loaded:
        return self._give("refresh", self.fresh)

    def files(self) -> frozenset[Path]:
        return frozenset({PEM, KEY})

    def staple_files(self) -> frozenset[Path]:
        return self.staples

    def _give(self, call: str, what: Loaded | Exception) -> Loaded:
        self.calls.append(call)
        if isinstance(what, Exception):
            raise what
        return what


class FakeChannel:
    """Keeps what is sent, with payloads read at once as a kernel would."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.workers: list[int] = []
        self.closed = False

    def send(self, kind: str, fds: Iterable[int] = (), **fields: Any) -> None:
        if self.closed:
            raise ChannelClosed
        if kind == "workers":
            self.workers.append(fields["count"])
            return
        payloads = [decode_snapshot(read_payload(fd)) for fd in fds]
        self.sent.append((kind, (fields["serial"], *payloads) if kind == "propose" else fields or None))


class NobodyToAsk:
    """These tests have no host names; test_names.py has."""

    def ask(self, name: str, settings: Resolver) -> None:
        raise AssertionError(name)

    def take(self) -> list[tuple[str, Answer]]:
        return []


def reloads_on(loader: FakeLoader, channel: FakeChannel, watch: bool = False, **more: Any) -> Reloads:
    proposals = Proposals(channel, Names(NobodyToAsk()))
    return Reloads(loader, loaded(snapshot(), watch=watch), channel, proposals, **more)


class Stage:
    """One Reloads that knows what is in force."""

    def __init__(
        self, generation: int = 1, watch: bool = False, acknowledged: bool = False, behind: bool = False
    ) -> None:
        self.loader, self.channel = FakeLoader(), FakeChannel()
        self.loader.acknowledged, self.loader.behind = acknowledged, behind
        self.ends: list[tuple[bool, list[str]]] = []
        self.begun_again = 0
        self.reloads = reloads_on(self.loader, self.channel, watch=watch, on_reloaded=self._on_reloaded)
        self.reloads.on_current(generation, snapshot())

    def _on_reloaded(self, accepted: bool, lines: list[str], again: bool) -> None:
        self.ends.append((accepted, lines))
        self.begun_again += again

    def reload(self, what: Loaded | Exception, *, whole: bool = True) -> None:
        self.loader.next = what
        self.reloads.on_reload(whole)
        self.reloads.turn()

    def refresh(self, what: Loaded | Exception) -> None:
        self.loader.fresh = what
        self.reloads.on_refresh()
        self.reloads.turn()

    def outcome(self, serial: int, accepted: bool, message: str = "") -> None:
        self.reloads.on_outcome(serial, accepted, message)
        self.reloads.turn()
