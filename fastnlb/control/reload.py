"""Reload and refresh: what was read becomes a proposal to the master, one at a time, as events in and frames out.

A reload reads the whole configuration, and proposes exactly that, once its host names have been looked up.  A refresh
reads the files of certificates again, and proposes the state in force with what they hold now.  Whoever asks while a
proposal waits for its outcome gets one more afterwards, however many ask.  Nothing that goes wrong in either changes
anything, and each ends in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from fastnlb.channel import ChannelClosed
from fastnlb.config.errors import ConfigError, Problem
from fastnlb.config.load import Loaded
from fastnlb.control.graft import graft
from fastnlb.control.names import NEVER
from fastnlb.control.naming import addresses_in, no_server_yet, with_addresses, without_servers
from fastnlb.control.proposals import Outlet, Proposals
from fastnlb.control.settings import fixed_differences
from fastnlb.model import Snapshot

FROM_THE_START = 1  # the generation of what the loader had read before this process was forked
NAMES_SECONDS = 6.0  # that new host names have to resolve before a reload goes on without them

log = logging.getLogger("fastnlb.control")


class Loader(Protocol):
    """Where configurations come from.  What it read last is what it refreshes, and whose files it names.

    `staged`: a change that the next load has in it; None for what is there anyway.
    `acknowledged`: somebody was promised that what it loads is served, so that it is without being asked for.
    `behind`: that has changed since it was loaded.
    """

    @property
    def staged(self) -> object | None: ...

    @property
    def acknowledged(self) -> bool: ...

    @property
    def behind(self) -> bool: ...

    def load(self, *, whole: bool = True) -> Loaded:
        """Everything, read anew; not `whole`: what is staged, and else what is in force.  Raises ConfigError."""
        ...

    def settle(self, known: bool) -> None:
        """What was loaded last is in force now; not `known`: nobody can say of what was loaded that it is."""
        ...

    def refresh(self) -> Loaded:
        """The last configuration with its files read anew; a bad one stays old, and is named in the warnings."""
        ...

    def files(self) -> frozenset[Path]: ...

    def staple_files(self) -> frozenset[Path]: ...


OnReading = Callable[[], None]
"""A reload that was asked for begins to read: whoever has asked by now is answered by its end, and nobody else."""

OnReloaded = Callable[[bool, list[str], bool], None]
"""Hears of the end of each reload: whether it was accepted; in lines what has changed, or why nothing has; and
whether it was refused with a staged change in it and begins again without, for whoever wanted all of it."""


class Reloads:
    """The state of all that.  Events only take note; `turn` does what is due, which may take as long as reading does.

    `accepted` is what was loaded last of what is served, at first what the daemon was started with; None where what
    can be loaded is something else, after the death of a control process.  `paths` are the files to watch: the same
    object until it changes.
    While `stale`, what the loader read last is not what was accepted last: refresh until it is not.
    """

    def __init__(
        self,
        loader: Loader,
        accepted: Loaded,
        outlet: Outlet,
        proposals: Proposals,
        *,
        on_reading: OnReading = lambda: None,
        on_reloaded: OnReloaded = lambda _accepted, _lines, _again: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loader = loader
        self._outlet = outlet
        self._proposals = proposals
        self._on_reading = on_reading
        self._on_reloaded = on_reloaded
        self._clock = clock
        self.accepted: Loaded | None = accepted
        self._loaded = accepted
        self._lines: list[str] = []  # of the reload that runs
        self._file = accepted.file
        self._running_with = accepted.settings
        self._workers = self._workers_read = accepted.settings.workers
        self._watching = accepted.settings.watch
        self._told = frozenset(accepted.warnings)
        self._workers_stay = False
        self._reload_due = self._reload_asked = self._reload_whole = False
        self._asked_for = False  # whether anybody waits for the end of the reload that runs
        self._carries = False  # whether it has a staged change in it
        self._read: Snapshot | None = None  # by a reload that waits for its host names
        self._read_until = NEVER
        self._refresh_due = False
        self._refused: tuple[Problem, ...] = ()
        self.stale = False
        self.paths = self._files()

    # Events

    def on_current(self, generation: int, snapshot: Snapshot) -> None:
        """What the master serves.  The first time, files may have changed since they were read."""
        if self._proposals.in_force is None:
            self.stale = generation != FROM_THE_START
            self._loader.settle(not self.stale)
            if self.stale:
                self.accepted = None
            self._refresh_due = self.stale or bool(self.paths)
            # A predecessor may have died between a change and its acknowledgement, or made one in a hot restart.
            self._reload_due |= self._loader.acknowledged and (self.stale or self._loader.behind)
        self._proposals.on_current(snapshot)

    def on_reload(self, whole: bool) -> None:
        """Not `whole`: what is staged is all there is to carry out."""
        self._reload_due = self._reload_asked = True
        self._reload_whole |= whole

    def on_refresh(self) -> None:
        self._refresh_due = True

    def on_outcome(self, serial: int, accepted: bool, message: str) -> None:
        ended = self._proposals.on_outcome(serial, accepted)
        if ended is not None and ended.reload:
            self._end_reload(accepted, self._lines if accepted else [message])

    def turn(self) -> None:
        """Does what is due and possible now.  Raises ChannelClosed."""
        while (in_force := self._proposals.in_force) is not None and not self._proposals.waiting:
            if self._read is not None or self._may_read():
                if not self._reload_further(in_force):
                    return
            elif self._refresh_due and not self._reload_due:
                self._refresh_due = False
                self._attempt("refresh", self._refresh, in_force)
            else:
                return

    def next_due(self) -> float:
        """When `turn` has something to do that nothing else wakes the loop for, on the clock."""
        return NEVER if self._read is None or self._proposals.waiting else self._read_until

    def _may_read(self) -> bool:
        """A reload of nobody's would answer nobody for a staged change; who staged it asks for one."""
        return self._reload_due and (self._reload_asked or self._loader.staged is None)

    def _reload_further(self, in_force: Snapshot) -> bool:
        """The next half of a reload; False when it has to wait for host names."""
        if self._read is None:
            self._asked_for, self._workers_stay = self._reload_asked, not self._reload_whole
            self._reload_due = self._reload_asked = self._reload_whole = False
            self._carries = self._loader.staged is not None
            if self._asked_for:
                self._on_reading()
            self._lines = []
            good = self._attempt("reload", self._reload, in_force)
        elif self._proposals.settled(self._read) or self._clock() >= self._read_until:
            good = self._attempt("reload", partial(self._go_on, self._read), in_force)
        else:
            return False
        if self._read is None and not self._proposals.waiting:
            self._end_reload(good, self._lines)
        return True

    def _end_reload(self, accepted: bool, lines: list[str]) -> None:
        if accepted:
            self._accept()
        if accepted and not self._workers_stay:
            # Also when it is what it was: signals to the master may have changed it.
            self._workers = self._workers_read
            self._outlet.send("workers", count=self._workers)
        again = self._carries and not accepted and not self._workers_stay
        if again:
            self._reload_due = self._reload_asked = self._reload_whole = True
        if self._asked_for:  # who asks while one runs of its own accord waits for the next
            if not again:
                self._outlet.send("reloaded")
            self._on_reloaded(accepted, lines, again)

    def _accept(self) -> None:
        self.accepted = self._loaded
        self._loader.settle(True)

    def _attempt(self, what: str, act: Callable[[Snapshot], None], in_force: Snapshot) -> bool:
        """Whether it came to no error.  Whatever a configuration does to the code that reads it, this process stays
        of use.
        """
        try:
            act(in_force)
        except ChannelClosed:
            raise
        except ConfigError as error:
            if what == "reload" or error.problems != self._refused:
                self._log_problems(error.problems)
                log.error("%s refused: the old configuration stays", what)
            self._refused = error.problems
            self._lines = [problem.render(self._file) for problem in error.problems]
        except Exception as error:
            log.error("%s failed, the old configuration stays: %s: %s", what, type(error).__name__, error)
            self._lines = [f"{type(error).__name__}: {error}"]
        else:
            return True
        return False

    # Reading

    def _reload(self, _in_force: Snapshot) -> None:
        loaded = self._load(whole=not self._workers_stay)
        self._refresh_due = False  # it is part of it
        fixed = fixed_differences(self._running_with, loaded.settings)
        for line in fixed:
            log.warning("%s", line)
        self._lines = [*(problem.render(self._file) for problem in loaded.warnings), *fixed]
        self._workers_read = self._workers if self._workers_stay else loaded.settings.workers
        if self._workers_read != self._workers:
            self._lines.append(f"workers: {self._workers} -> {self._workers_read}")
        self._proposals.expect(loaded.snapshot)
        self._read, self._read_until = loaded.snapshot, self._clock() + NAMES_SECONDS

    def _go_on(self, read: Snapshot, in_force: Snapshot) -> None:
        """What was read is proposed, with the servers that its names stand for."""
        self._read = None
        wanted = self._proposals.completed(read)
        for group in without_servers(wanted):
            log.warning("%s", no_server_yet(group))
            self._lines.append(no_server_yet(group))
        try:
            if wanted == in_force:
                log.info(
                    "reload: nothing has changed%s", "" if self._workers_read == self._workers else " but workers"
                )
                if self._workers_read == self._workers:
                    self._lines.append("nothing has changed")
            else:
                self._lines += self._proposals.propose(wanted, reload=True)
        finally:
            self._proposals.expect(None)

    def _refresh(self, in_force: Snapshot) -> None:
        was_stale = self.stale
        loaded = self._load() if was_stale else self._loader.refresh()
        self._log_problems(warning for warning in loaded.warnings if warning not in self._told)
        self._told = frozenset(loaded.warnings)
        grafted = graft(in_force, loaded.snapshot, staples_only=not self._watching)
        if was_stale and with_addresses(loaded.snapshot, addresses_in(in_force)) == grafted:
            self._accept()  # and not where the file was changed, and never reloaded
        if grafted != in_force:
            self._proposals.propose(grafted, reload=False)

    def _load(self, *, whole: bool = True) -> Loaded:
        self._loaded = loaded = self._loader.load(whole=whole)
        self.stale = False
        self._file = loaded.file
        self._watching = loaded.settings.watch
        # Now, not when it is in force: what changes from here on was not read.
        self.paths = self._files()
        # A change to one thing is no reason to repeat what is odd about the others.
        again = frozenset() if self._loader.staged is None else self._told
        self._log_problems(warning for warning in loaded.warnings if warning not in again)
        self._told = frozenset(loaded.warnings)
        return loaded

    def _files(self) -> frozenset[Path]:
        """A refresh is by the loader's files, even when the master refused what it read."""
        return self._loader.staple_files() | (self._loader.files() if self._watching else frozenset())

    def _log_problems(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            log.log(logging.WARNING if problem.warning else logging.ERROR, "%s", problem.render(self._file))
