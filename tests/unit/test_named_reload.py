"""Host names in what is proposed: reloads that wait for them, and changes that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from fastnlb.channel import decode_snapshot, read_payload
from fastnlb.config.load import Loaded
from fastnlb.control.answer import Answer, failed, found
from fastnlb.control.names import Names
from fastnlb.control.naming import with_addresses
from fastnlb.control.proposals import REFUSED_SECONDS, Proposals
from fastnlb.control.reload import NAMES_SECONDS, Reloads
from fastnlb.control.source import NoSource
from fastnlb.model import NamedServer, Resolver, Server, ServerGroup, Settings, Snapshot

pytestmark = pytest.mark.usefixtures("lines")

ONE, TWO = found(("10.0.0.1",), 60), found(("10.0.0.2",), 60)
GONE = failed("no such name (NXDOMAIN)")
LITERAL = Server("10.0.0.9", 80)


def snapshot(*names: str, **addresses: str) -> Snapshot:
    """One group with a literal server and these names; `a="10.0.0.1"` is what a.test stands for."""
    group = ServerGroup("g", (LITERAL,), named_servers=tuple(NamedServer(f"{name}.test", 80) for name in names))
    return with_addresses(
        Snapshot(server_groups=(group,)), {f"{name}.test": (address,) for name, address in addresses.items()}
    )


class Stage:
    """Everything between a loader, a channel and a name server, which are the test's."""

    def __init__(self, in_force: Snapshot, *, file: bool = True) -> None:
        self.now = 100.0
        self.sent: list[tuple[str, Any]] = []
        self.asked: list[str] = []
        self.answers: list[tuple[str, Answer]] = []
        self.next = in_force
        self.proposals = Proposals(self, Names(self, self.clock), self.clock)
        self.reloads = Reloads(self, loaded(in_force), self, self.proposals, clock=self.clock)
        self.origin = self.reloads if file else NoSource(self, self.proposals, lambda: None, lambda *_end: None)
        self.origin.on_current(1, in_force)
        self.turn()

    def clock(self) -> float:
        return self.now

    # As a loader

    staged = None
    acknowledged = False

    def settle(self, known: bool) -> None:
        self.settled = known

    def load(self, *, whole: bool = True) -> Loaded:
        return loaded(self.next)

    refresh = load

    def files(self) -> frozenset[Path]:
        return frozenset()

    staple_files = files

    # As a channel

    def send(self, kind: str, fds: Iterable[int] = (), **fields: Any) -> None:
        if kind != "workers":
            self.sent.append((kind, next((decode_snapshot(read_payload(fd)) for fd in fds), None)))

    def proposed(self) -> Snapshot | None:
        """What was proposed since the last time, which must be all that was said."""
        sent, self.sent = self.sent, []
        assert [kind for kind, _ in sent] in ([], ["propose"])
        return sent[0][1] if sent else None

    # As a name server

    def ask(self, name: str, settings: Resolver) -> None:
        self.asked.append(name)

    def take(self) -> list[tuple[str, Answer]]:
        taken, self.answers = self.answers, []
        return taken

    # The loop

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.proposals.turn()
        self.reloads.turn()

    def answer(self, **answers: Answer) -> None:
        self.answers += [(f"{name}.test", answer) for name, answer in answers.items()]
        self.turn()

    def reload(self, wanted: Snapshot) -> None:
        self.next = wanted
        self.reloads.on_reload(True)
        self.turn()
        self.turn()

    def outcome(self, serial: int, accepted: bool = True) -> None:
        self.origin.on_outcome(serial, accepted, "")
        self.turn()


def loaded(what: Snapshot) -> Loaded:
    return Loaded(what, Settings(), (), "f.yaml")


# Changes that nobody asked for


@pytest.mark.parametrize("file", [True, False])
def test_addresses_that_change_are_proposed_and_nothing_else(file: bool) -> None:
    stage = Stage(snapshot("a", a="10.0.0.1"), file=file)
    stage.answer(a=ONE)
    assert stage.proposed() is None
    stage.turn(60)
    stage.answer(a=TWO)
    assert stage.proposed() == snapshot("a", a="10.0.0.2")
    stage.outcome(1)
    assert stage.proposed() is None


def test_what_changes_meanwhile_is_proposed_afterwards() -> None:
    stage = Stage(snapshot("a", "b", a="10.0.0.1"))
    stage.answer(a=TWO)
    assert stage.proposed() == snapshot("a", "b", a="10.0.0.2")
    stage.answer(b=ONE)
    assert stage.proposed() is None
    stage.outcome(1)
    assert stage.proposed() == snapshot("a", "b", a="10.0.0.2", b="10.0.0.1")


def test_addresses_that_are_refused_are_proposed_again_after_a_while() -> None:
    stage = Stage(snapshot("a", a="10.0.0.1"))
    stage.answer(a=TWO)
    stage.proposed()
    stage.outcome(1, accepted=False)
    assert stage.proposed() is None
    assert stage.proposals.next_due() == stage.now + REFUSED_SECONDS
    stage.turn(REFUSED_SECONDS)
    assert stage.proposed() == snapshot("a", a="10.0.0.2")


def test_a_state_in_force_that_is_behind_is_put_right() -> None:
    """Such as one that a predecessor proposed before it died."""
    stage = Stage(snapshot("a", a="10.0.0.1"))
    stage.answer(a=TWO)
    stage.proposed()
    stage.outcome(1)
    stage.origin.on_current(7, snapshot("a", a="10.0.0.1"))
    stage.turn()
    assert stage.proposed() == snapshot("a", a="10.0.0.2")


# Reloads


def test_a_reload_waits_for_new_names_and_not_for_others() -> None:
    stage = Stage(snapshot("a", a="10.0.0.1"))
    stage.reload(snapshot("a", "b"))
    assert stage.asked == ["a.test", "b.test"]
    assert stage.proposed() is None
    stage.answer(b=TWO)
    assert stage.proposed() == snapshot("a", "b", a="10.0.0.1", b="10.0.0.2")


def test_a_reload_without_new_names_does_not_wait() -> None:
    stage = Stage(snapshot("a", a="10.0.0.1"))
    stage.reload(snapshot("a"))
    assert stage.sent == [("reloaded", None)]
    stage.sent.clear()
    stage.reload(snapshot())
    assert stage.proposed() == snapshot()


@pytest.mark.parametrize("answered", [True, False])
def test_a_reload_goes_on_without_a_name_that_nobody_knows(answered: bool, lines: pytest.LogCaptureFixture) -> None:
    stage = Stage(snapshot())
    lone = Snapshot(server_groups=(ServerGroup("g", (), named_servers=(NamedServer("b.test", 80),)),))
    stage.reload(lone)
    assert stage.reloads.next_due() == stage.now + NAMES_SECONDS
    if answered:
        stage.answer(b=GONE)
    else:
        stage.turn(NAMES_SECONDS)
    assert stage.proposed() == with_addresses(lone, {})
    assert "server group g has no server until a host name resolves: its clients are reset" in lines.messages


def test_who_asks_while_a_reload_waits_is_served_by_one_more() -> None:
    stage = Stage(snapshot())
    stage.reload(snapshot("a"))
    stage.reload(snapshot("b"))
    assert stage.asked == ["a.test"]
    stage.answer(a=ONE)
    assert stage.proposed() == snapshot("a", a="10.0.0.1")
    stage.outcome(1)
    stage.turn()
    assert stage.asked[1:] == ["b.test"]
    assert stage.sent == [("reloaded", None)]


def test_the_names_of_a_refused_reload_are_forgotten() -> None:
    stage = Stage(snapshot("a", a="10.0.0.1"))
    stage.reload(snapshot("b"))
    stage.answer(b=TWO)
    stage.proposed()
    stage.outcome(1, accepted=False)
    assert stage.sent == [("reloaded", None)]
    stage.answer(a=ONE)
    stage.asked.clear()
    stage.turn(1000)
    assert stage.asked == ["a.test"]


def test_addresses_go_on_changing_while_a_reload_waits() -> None:
    stage = Stage(snapshot("a", a="10.0.0.1"))
    stage.reload(snapshot("a", "b"))
    stage.answer(a=TWO)
    assert stage.proposed() == snapshot("a", a="10.0.0.2")
    stage.outcome(1)
    stage.answer(b=ONE)
    assert stage.proposed() == snapshot("a", "b", a="10.0.0.2", b="10.0.0.1")
