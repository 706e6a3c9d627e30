"""Refreshes: certificates and staples that changed in their files are taken, and nothing that nobody asked for."""

from __future__ import annotations

import pytest
from support.reload_stage import KEY, PEM, STAPLE, Stage, loaded, snapshot

from fastnlb.config.errors import ConfigError, Problem
from fastnlb.control.graft import graft
from fastnlb.model import CaCertificate, Certificate, Snapshot

pytestmark = pytest.mark.usefixtures("lines", "every_descriptor_closed")


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
