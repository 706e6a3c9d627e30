"""Reload and refresh: what was read becomes a proposal to the master, one at a time, as events in and frames out.

A reload reads the whole configuration, and proposes exactly that.  A refresh reads the files of certificates again,
and proposes the state in force with what they hold now.  Whoever asks while a proposal waits for its outcome gets one
more afterwards, however many ask.  Nothing that goes wrong in either changes anything, and each ends in the log.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastnlb.channel import ChannelClosed, encode_snapshot, payload_descriptor
from fastnlb.config.errors import ConfigError, Problem
from fastnlb.config.load import Loaded
from fastnlb.config.plan import plan
from fastnlb.control.graft import graft
from fastnlb.control.settings import fixed_differences
from fastnlb.model import Snapshot

FROM_THE_START = 1  # the generation of what the loader had read before this process was forked

log = logging.getLogger("fastnlb.control")


class Loader(Protocol):
    """Where configurations come from.  What it read last is what it refreshes, and whose files it names."""

    def load(self) -> Loaded:
        """Everything, read anew.  Raises ConfigError."""
        ...

    def refresh(self) -> Loaded:
        """The last configuration with its files read anew; a bad one stays old, and is named in the warnings."""
        ...

    def files(self) -> frozenset[Path]: ...

    def staple_files(self) -> frozenset[Path]: ...


class Outlet(Protocol):
    """The sending half of a Channel."""

    def send(self, kind: str, fds: Iterable[int] = (), **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class _Proposal:
    serial: int
    snapshot: Snapshot
    reload: bool  # somebody waits for `reloaded`


class Reloads:
    """The state of all that.  Events only take note; `turn` does what is due, which may take as long as reading does.

    `accepted` is what the daemon was started with.  `paths` are the files to watch: the same object until it changes.
    While `stale`, what the loader read last is not what was accepted last: refresh until it is not.
    """

    def __init__(self, loader: Loader, accepted: Loaded, outlet: Outlet) -> None:
        self._loader = loader
        self._outlet = outlet
        self._file = accepted.file
        self._running_with = accepted.settings
        self._watching = accepted.settings.watch
        self._told = frozenset(accepted.warnings)
        self._in_force: Snapshot | None = None
        self._proposal: _Proposal | None = None
        self._last_serial = 0
        self._reload_due = False
        self._refresh_due = False
        self._refused: tuple[Problem, ...] = ()
        self.stale = False
        self.paths = self._files()

    # Events

    def on_current(self, generation: int, snapshot: Snapshot) -> None:
        """What the master serves.  The first time, files may have changed since they were read."""
        if self._in_force is None:
            self.stale = generation != FROM_THE_START
            self._refresh_due = self.stale or bool(self.paths)
        self._in_force = snapshot

    def on_reload(self) -> None:
        self._reload_due = True

    def on_refresh(self) -> None:
        self._refresh_due = True

    def on_outcome(self, serial: int, accepted: bool) -> None:
        """The master logs it; here it only matters what is in force now."""
        proposal = self._proposal
        if proposal is None or proposal.serial != serial:
            return
        self._proposal = None
        if accepted:
            self._in_force = proposal.snapshot
        if proposal.reload:
            self._outlet.send("reloaded")

    def turn(self) -> None:
        """Does what is due and possible now.  Raises ChannelClosed."""
        while self._in_force is not None and self._proposal is None:
            if self._reload_due:
                self._reload_due = False
                self._attempt("reload", self._reload, self._in_force)
                if self._proposal is None:
                    self._outlet.send("reloaded")
            elif self._refresh_due:
                self._refresh_due = False
                self._attempt("refresh", self._refresh, self._in_force)
            else:
                return

    def _attempt(self, what: str, act: Callable[[Snapshot], None], in_force: Snapshot) -> None:
        """Whatever a configuration does to the code that reads it, this process stays of use."""
        try:
            act(in_force)
        except ChannelClosed:
            raise
        except ConfigError as error:
            if what == "reload" or error.problems != self._refused:
                self._log_problems(error.problems)
                log.error("%s refused: the old configuration stays", what)
            self._refused = error.problems
        except Exception as error:
            log.error("%s failed, the old configuration stays: %s: %s", what, type(error).__name__, error)

    # Reading

    def _reload(self, in_force: Snapshot) -> None:
        loaded = self._load()
        self._refresh_due = False  # it is part of it
        for line in fixed_differences(self._running_with, loaded.settings):
            log.warning("%s", line)
        if loaded.snapshot == in_force:
            log.info("reload: nothing has changed")
        else:
            self._propose(in_force, loaded.snapshot, reload=True)

    def _refresh(self, in_force: Snapshot) -> None:
        loaded = self._load() if self.stale else self._loader.refresh()
        self._log_problems(warning for warning in loaded.warnings if warning not in self._told)
        self._told = frozenset(loaded.warnings)
        grafted = graft(in_force, loaded.snapshot, staples_only=not self._watching)
        if grafted != in_force:
            self._propose(in_force, grafted, reload=False)

    def _load(self) -> Loaded:
        loaded = self._loader.load()
        self.stale = False
        self._file = loaded.file
        self._watching = loaded.settings.watch
        # Now, not when it is in force: what changes from here on was not read.
        self.paths = self._files()
        self._log_problems(loaded.warnings)
        self._told = frozenset(loaded.warnings)
        return loaded

    def _files(self) -> frozenset[Path]:
        """A refresh is by the loader's files, even when the master refused what it read."""
        return self._loader.staple_files() | (self._loader.files() if self._watching else frozenset())

    def _log_problems(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            log.log(logging.WARNING if problem.warning else logging.ERROR, "%s", problem.render(self._file))

    # Proposing

    def _propose(self, in_force: Snapshot, wanted: Snapshot, *, reload: bool) -> None:
        _log_plan(in_force, wanted)
        self._last_serial += 1
        payload = payload_descriptor(encode_snapshot(wanted))
        try:
            self._outlet.send("propose", [payload], serial=self._last_serial)
        finally:
            os.close(payload)
        self._proposal = _Proposal(self._last_serial, wanted, reload)


def _log_plan(old: Snapshot, new: Snapshot) -> None:
    """A change that cannot be put into words is still one that was asked for."""
    try:
        lines = plan(old, new).describe()
    except Exception as error:
        log.warning("cannot describe the change: %s: %s", type(error).__name__, error)
        return
    for line in lines:
        log.info("%s", line)
