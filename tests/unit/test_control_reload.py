"""Reload and refresh as the control process decides them: a loader and a channel of the test's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.procs import descriptors

from fastnlb.channel import ChannelClosed, decode_snapshot, read_payload
from fastnlb.config.errors import ConfigError, Problem
from fastnlb.config.load import Loaded
from fastnlb.control.answer import Answer
from fastnlb.control.graft import graft
from fastnlb.control.names import Names
from fastnlb.control.proposals import Proposals
from fastnlb.control.reload import Reloads
from fastnlb.control.settings import fixed_differences
from fastnlb.model import (
    CaCertificate,
    Certificate,
    Listener,
    Resolver,
    Server,
    ServerGroup,
    Settings,
    Snapshot,
    Staple,
)

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

    def load(self) -> Loaded:
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
        self.reloads = reloads_on(
            self.loader, self.channel, watch=watch, on_reloaded=lambda *end: self.ends.append(end)
        )
        self.reloads.on_current(generation, snapshot())

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


@pytest.fixture(autouse=True)
def lines(caplog: pytest.LogCaptureFixture) -> Iterable[pytest.LogCaptureFixture]:
    before = descriptors(os.getpid())
    with caplog.at_level(logging.INFO, "fastnlb"):
        yield caplog
    assert descriptors(os.getpid()) == before, "a descriptor leaked"


def test_a_reload_is_planned_proposed_and_answered_after_its_outcome(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    assert "~ listener l: port 1 -> 2" in lines.messages
    assert stage.channel.sent == [("propose", (1, snapshot(port=2)))]
    stage.outcome(1, True)
    assert stage.channel.sent[1:] == [("reloaded", None)]
    stage.reload(loaded(snapshot(port=2)))
    assert stage.channel.sent[2:] == [("reloaded", None)], "what is in force was proposed"
    assert "reload: nothing has changed" in lines.messages
    assert stage.ends == [(True, ["~ listener l: port 1 -> 2"]), (True, ["nothing has changed"])]


def test_whoever_has_asked_hears_why_nothing_has_changed() -> None:
    stage = Stage()
    problems = [Problem(3, 9, "listeners[0].port", "no"), Problem(5, 1, "x", "odd", warning=True)]
    stage.reload(ConfigError(problems))
    stage.reload(RuntimeError("odd"))
    stage.reload(loaded(snapshot(port=2), Problem(0, 0, "", "beware", warning=True), workers=7))
    assert len(stage.ends) == 2, "the third waits for its outcome"
    stage.outcome(1, False, "listener l: cannot listen")
    assert stage.ends == [
        (False, ["f.yaml:3:9: listeners[0].port: no", "f.yaml:5:1: x: warning: odd"]),
        (False, ["RuntimeError: odd"]),
        (False, ["listener l: cannot listen"]),
    ]


def test_what_has_to_wait_for_the_next_start_is_said_too() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(), Problem(0, 0, "", "beware", warning=True), shutdown_timeout=7))
    (accepted, said), *_ = stage.ends
    assert accepted
    assert said == [
        "f.yaml: warning: beware",
        "shutdown_timeout: 30 -> 7 takes effect at the next start",
        "nothing has changed",
    ]


def test_a_refused_proposal_is_not_in_force() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    stage.outcome(1, False)
    stage.reload(loaded(snapshot(port=2)))
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "reloaded", "propose"]


def test_nothing_happens_before_it_is_known_what_is_in_force() -> None:
    loader, channel = FakeLoader(), FakeChannel()
    reloads = reloads_on(loader, channel)
    reloads.on_reload(True)
    reloads.turn()
    assert not loader.calls
    reloads.on_current(1, snapshot())
    reloads.turn()
    assert loader.calls == ["load"]


def test_who_asks_meanwhile_gets_one_more_together() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    for _ in range(5):
        stage.reload(loaded(snapshot(port=3)))
        stage.refresh(loaded(snapshot()))
    assert stage.loader.calls == ["load"]
    stage.outcome(1, True)
    assert stage.loader.calls == ["load", "load"], "a reload is a refresh as well"
    assert stage.channel.sent[-1] == ("propose", (2, snapshot(port=3)))


def test_the_outcome_of_another_proposal_is_ignored() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(port=2)))
    stage.outcome(7, True)
    assert len(stage.channel.sent) == 1
    stage.outcome(1, True)
    stage.outcome(1, True)
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "reloaded"]


def test_every_problem_is_told_with_its_place_and_the_old_state_stays(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    problems = [Problem(3, 9, "listeners[0].port", "no"), Problem(5, 1, "x", "odd", warning=True)]
    stage.reload(ConfigError(problems))
    said = [(record.levelname, record.getMessage()) for record in lines.records]
    assert said == [
        ("ERROR", "f.yaml:3:9: listeners[0].port: no"),
        ("WARNING", "f.yaml:5:1: x: warning: odd"),
        ("ERROR", "reload refused: the old configuration stays"),
    ]
    assert stage.channel.sent == [("reloaded", None)]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("a bug\nof ours"), RecursionError("deep")])
def test_any_other_error_is_one_line_and_the_next_reload_works(
    error: Exception, lines: pytest.LogCaptureFixture
) -> None:
    stage = Stage()
    stage.reload(error)
    assert len(lines.records) == 1
    assert lines.messages[0].startswith(f"reload failed, the old configuration stays: {type(error).__name__}: ")
    stage.reload(loaded(snapshot(port=2)))
    assert [kind for kind, _ in stage.channel.sent] == ["reloaded", "propose"]


def test_a_refresh_waits_for_a_reload_that_fails() -> None:
    stage = Stage()
    stage.reloads.on_refresh()
    stage.reload(ConfigError([Problem(0, 0, "", "no")]))
    assert stage.loader.calls == ["load", "refresh"]


def test_the_end_of_the_channel_is_no_failure_of_the_reload() -> None:
    stage = Stage()
    stage.channel.closed = True
    with pytest.raises(ChannelClosed):
        stage.reload(loaded(snapshot(port=2)))


def test_settings_that_cannot_change_are_named(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(), user="www"))
    assert "user: none -> www takes effect at the next start" in lines.messages


def test_the_master_is_told_the_number_of_workers_when_a_reload_went_well() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot(), workers=3))
    assert stage.ends == [(True, ["workers: 1 -> 3"])]
    assert stage.channel.workers == [3]
    stage.reload(loaded(snapshot(port=2), workers=4))
    stage.outcome(1, False, "listener l: cannot listen")
    stage.reload(ConfigError([Problem(3, 9, "x", "no")]))
    assert stage.channel.workers == [3]
    stage.reload(loaded(snapshot(port=2), workers=4))
    stage.outcome(2, True)
    assert stage.ends[-1] == (True, ["workers: 3 -> 4", "~ listener l: port 1 -> 2"])
    assert stage.channel.workers == [3, 4]


def test_the_number_is_told_again_as_signals_may_have_changed_it() -> None:
    stage = Stage()
    stage.reload(loaded(snapshot()))
    assert stage.ends == [(True, ["nothing has changed"])]
    assert stage.channel.workers == [1]


def test_a_change_that_is_staged_leaves_the_number_of_workers_alone() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(), workers=3), whole=False)
    assert stage.ends == [(True, ["nothing has changed"])]
    assert stage.channel.workers == []


def test_who_wants_all_of_it_gets_all_of_it_when_a_change_is_staged_too() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reloads.on_reload(whole=True)
    stage.reload(loaded(snapshot(), workers=3), whole=False)
    assert stage.ends == [(True, ["workers: 1 -> 3"])]
    assert stage.channel.workers == [3]
    stage.reload(loaded(snapshot(), workers=4), whole=False)
    assert stage.channel.workers == [3], "what somebody wanted once counts once"


def test_who_wanted_all_of_it_gets_the_rest_when_the_change_in_it_is_refused() -> None:
    stage = Stage()
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(port=2), workers=3))
    stage.loader.staged, stage.loader.next = None, loaded(snapshot(), workers=3)
    stage.outcome(1, False, "port taken")
    assert stage.ends == [(False, ["port taken"])]
    assert stage.channel.workers == [3]


def test_a_reload_that_nobody_asked_for_waits_for_who_has_staged_a_change() -> None:
    stage = Stage(generation=2, acknowledged=True)
    stage.loader.next = loaded(snapshot(port=2))
    stage.loader.staged = object()
    stage.reloads.turn()
    assert stage.loader.calls == []
    stage.reload(loaded(snapshot(port=2)), whole=False)
    stage.outcome(1, True)
    assert stage.ends == [(True, ["~ listener l: port 1 -> 2"])]
    assert stage.loader.calls == ["load"]


def test_who_asks_after_the_reading_has_begun_is_not_answered_by_it() -> None:
    begun: list[str] = []
    channel, loader = FakeChannel(), FakeLoader()
    reloads = reloads_on(loader, channel, on_reading=lambda: begun.append("reading"))
    reloads.on_current(1, snapshot())
    loader.next = loaded(snapshot(port=2))
    reloads.on_reload(True)
    assert begun == []
    reloads.turn()
    reloads.on_reload(True)
    reloads.turn()
    assert begun == ["reading"]
    reloads.on_outcome(1, True, "")
    reloads.turn()
    assert begun == ["reading", "reading"]


def test_what_was_loaded_counts_as_accepted_once_the_master_has_taken_it() -> None:
    stage = Stage()
    before = stage.reloads.accepted
    wanted = loaded(snapshot(port=2))
    stage.reload(wanted)
    assert stage.reloads.accepted is before
    stage.outcome(1, False, "no")
    assert stage.reloads.accepted is before
    stage.reload(wanted)
    stage.outcome(2, True)
    assert stage.reloads.accepted is wanted


@pytest.mark.parametrize(("generation", "behind"), [(5, False), (1, True)], ids=["heir", "after a hot restart"])
def test_what_was_acknowledged_is_served_without_being_asked_for(generation: int, behind: bool) -> None:
    stage = Stage(generation, acknowledged=True, behind=behind)
    stage.loader.next = loaded(snapshot(port=2))
    stage.reloads.turn()
    assert stage.channel.sent == [("propose", (1, snapshot(port=2)))]


def test_what_was_loaded_for_the_start_is_not_loaded_again() -> None:
    stage = Stage(acknowledged=True)
    stage.reloads.turn()
    assert stage.loader.calls == []


def test_who_asks_while_an_heir_reloads_by_itself_waits_for_a_reload_of_their_own() -> None:
    """What they ask for may have been staged after the configuration was read."""
    stage = Stage(generation=2, acknowledged=True)
    stage.loader.next = loaded(snapshot(port=2))
    stage.reloads.turn()
    stage.loader.next = loaded(snapshot(port=3))
    stage.reloads.on_reload(True)
    stage.outcome(1, True)
    assert stage.ends == []
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "propose"]
    stage.outcome(2, True)
    assert stage.ends == [(True, ["~ listener l: port 2 -> 3"])]
    assert [kind for kind, _ in stage.channel.sent] == ["propose", "propose", "reloaded"]


def test_an_heir_takes_what_is_in_the_file_for_what_is_served_only_if_it_is() -> None:
    stage = Stage(generation=2)
    assert stage.reloads.accepted is None
    stage.loader.next = loaded(snapshot(port=2))
    stage.reloads.turn()
    assert stage.reloads.accepted is None, "it was changed and never reloaded"
    stage.reload(loaded(snapshot(port=2)))
    stage.outcome(1, True)
    assert stage.reloads.accepted is stage.loader.next
    same = Stage(generation=2)
    same.reloads.turn()
    assert same.reloads.accepted is same.loader.next


def test_what_is_odd_about_the_rest_is_not_said_again_at_a_change_to_one_thing(
    lines: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    odd, new = (Problem(0, 0, "", text, warning=True) for text in ("odd", "new"))
    stage.reload(loaded(snapshot(), odd))
    stage.loader.staged = object()
    stage.reload(loaded(snapshot(), odd, new))
    said = [line for line in lines.messages if "warning" in line]
    assert [line.rpartition(" ")[2] for line in said] == ["odd", "new"]


def test_the_differences_of_settings_are_spelled_as_in_the_file() -> None:
    old = Settings()
    new = Settings(2, "/run/x", "a.sock", ("::1", 9901), "www", "/t", "nobody", 7, "debug", "json", True, True)
    assert fixed_differences(old, old) == []
    assert fixed_differences(old, replace(old, watch=True)) == []
    assert fixed_differences(old, new) == [
        f"{what} takes effect at the next start"
        for what in (
            "run_dir: none -> /run/x",
            "admin.socket: admin.sock -> a.sock",
            "admin.listen: none -> [::1]:9901",
            "admin.certificate: none -> www",
            "admin.tokens_file: none -> /t",
            "user: none -> nobody",
            "shutdown_timeout: 30 -> 7",
            "logging.level: info -> debug",
            "logging.format: console -> json",
            "core_dumps: false -> true",
        )
    ]


# Files


def test_certificates_are_watched_on_request_and_staples_always() -> None:
    assert Stage().reloads.paths == frozenset()
    stage = Stage(watch=True)
    assert stage.reloads.paths == {PEM, KEY}
    stage.loader.staples = frozenset({STAPLE})
    before = stage.reloads.paths
    stage.refresh(loaded(snapshot()))
    assert stage.reloads.paths is before
    stage.reload(loaded(snapshot(), watch=True))
    assert stage.reloads.paths == {PEM, KEY, STAPLE}
    stage.reload(loaded(snapshot(), watch=False))
    assert stage.reloads.paths == {STAPLE}


def test_a_refresh_brings_material_and_nothing_else() -> None:
    stage = Stage(watch=True)
    stage.refresh(loaded(snapshot(port=2, chain=b"new")))
    assert stage.channel.sent == [("propose", (1, snapshot(chain=b"new")))]
    stage.outcome(1, True)
    assert len(stage.channel.sent) == 1, "nobody asked for `reloaded`"


def test_a_refresh_that_finds_nothing_new_is_silent(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage(watch=True)
    stage.refresh(loaded(snapshot()))
    assert stage.channel.sent == []
    assert lines.messages == []


def test_without_watch_only_the_staples_are_taken() -> None:
    stage = Stage()
    stage.refresh(loaded(snapshot(staple=b"fresh")))
    assert stage.channel.sent == [("propose", (1, snapshot(staple=b"fresh")))]
    stage.outcome(1, True)
    stage.refresh(loaded(snapshot(chain=b"new", staple=b"other")))
    assert len(stage.channel.sent) == 1


def test_what_a_refresh_could_not_take_is_told_once(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage(watch=True)
    bad = Problem(4, 1, "certificates[0]", "stays as it was: broken", warning=True)
    for what in (loaded(snapshot(), bad), loaded(snapshot(), bad), loaded(snapshot()), loaded(snapshot(), bad)):
        stage.refresh(what)
    assert lines.messages == ["f.yaml:4:1: certificates[0]: warning: stays as it was: broken"] * 2


def test_the_first_process_looks_once_whether_files_changed_since_they_were_read() -> None:
    stage = Stage(watch=True)
    stage.reloads.turn()
    assert stage.loader.calls == ["refresh"]
    stage.reloads.on_current(1, snapshot())
    stage.reloads.turn()
    assert stage.loader.calls == ["refresh"]


def test_an_heir_reads_the_file_again_but_changes_nothing_that_nobody_asked_for() -> None:
    stage = Stage(generation=5)
    stage.loader.next = loaded(snapshot(port=2, chain=b"new"), watch=True)
    stage.reloads.turn()
    assert stage.loader.calls == ["load"]
    assert stage.reloads.paths == {PEM, KEY}
    assert stage.channel.sent == [("propose", (1, snapshot(chain=b"new")))]


def test_an_heir_that_cannot_read_the_file_tries_again_and_complains_once(lines: pytest.LogCaptureFixture) -> None:
    stage = Stage(generation=5, watch=True)
    stage.loader.next = ConfigError([Problem(0, 0, "", "cannot read")])
    stage.reloads.turn()
    stage.refresh(loaded(snapshot(chain=b"of a stale loader")))
    assert stage.loader.calls == ["load", "load"]
    assert stage.channel.sent == []
    assert stage.reloads.stale
    assert lines.messages == ["f.yaml: cannot read", "refresh refused: the old configuration stays"]
    stage.loader.next = loaded(snapshot())
    stage.refresh(loaded(snapshot()))
    assert not stage.reloads.stale


def test_a_graft_takes_by_name() -> None:
    old = Snapshot(
        certificates=(Certificate("a", b"1", b"k"), Certificate("b", b"1", b"k")),
        ca_certificates=(CaCertificate("x", b"1"),),
    )
    fresh = Snapshot(
        certificates=(Certificate("c", b"2", b"k"), Certificate("b", b"2", b"k")),
        ca_certificates=(CaCertificate("x", b"1", b"crl"),),
    )
    made = graft(old, fresh, staples_only=False)
    assert made.certificates == (old.certificates[0], fresh.certificates[1])
    assert made.ca_certificates == fresh.ca_certificates
    assert graft(old, fresh, staples_only=True) == old
