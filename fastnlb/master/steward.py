"""The control process as the master sees it: one child that decides, and is asked and told by frames.

    booted     it is told the Offer in force and the state of the daemon, then to reload if that is wanted
    ask        is handed to `on_ask`, which answers when it can; a reload is begun here
    workers    is handed to `on_workers`
    propose    the newest proposal is applied as soon as no change is under way; `outcome` tells how it ended, after
               `current` when it was accepted
    its death  another is forked; what it was doing is done again, what it proposed goes on without it

A reload that two control processes in a row have died of is given up.  Without a main function there is no
control process, and nothing to reload.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastnlb.channel import Frame, decode_snapshot, read_payload
from fastnlb.master import notify
from fastnlb.master.fleet import Fleet
from fastnlb.master.listen import CannotListen
from fastnlb.master.process import CONTROL, State, Worker, WorkerMain, await_end
from fastnlb.master.rollout import Rollout
from fastnlb.model import Snapshot

RELOAD_ATTEMPTS = 2
FAREWELL = 1.0  # seconds

Answer = Callable[..., None]
"""(accepted, message = "") for whoever has asked."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

log = logging.getLogger("fastnlb.master")


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What a control process, told apart by its pid, wants to be served."""

    pid: int
    serial: int
    snapshot: Snapshot


class Steward:
    """Owner of the control process, from `start` to `dismiss`, and of what it proposes."""

    def __init__(
        self,
        control_main: WorkerMain | None,
        selector: selectors.BaseSelector,
        disinherit: Callable[[], None],
        rollout: Rollout,
        on_ask: Callable[[str, Answer], None],
        *,
        on_workers: Callable[[int], None],
    ) -> None:
        self._exists = control_main is not None
        self._rollout = rollout
        self._on_ask = on_ask
        self._on_workers = on_workers
        self._state: dict[str, Any] = {}
        self._dismissed = False
        self._reload_wanted = False
        self._reload_asked = False
        self._whole_wanted = False
        self._whole_asked = False
        self._reload_deaths = 0
        self._waiting: _Proposal | None = None
        self._running: _Proposal | None = None
        self._fleet = Fleet(
            role=CONTROL,
            seats=0,
            worker_main=control_main or _no_main,
            selector=selector,
            disinherit=disinherit,
            on_frame=self._on_frame,
            on_gone=self._on_gone,
            on_unfilled=lambda _index, _error: None,  # it is tried for as long as it takes
        )

    # What the arbiter calls

    def start(self) -> None:
        """The daemon is ready: from here on there is a control process."""
        if self._exists:
            self._fleet.open_seat(0)

    @property
    def busy(self) -> bool:
        """Whether a reload or a proposal is on its way."""
        return self._reload_wanted or self._reload_asked or self._waiting is not None or self._running is not None

    def reload(self, *, whole: bool = True) -> None:
        """Has the configuration read again: once more after the reload that runs, however often this is asked.

        Not `whole`: for what the control process has staged; the number of workers is nobody's business then.
        """
        if not self._exists:
            log.warning("nothing to reload: started without a configuration file")
            notify.reloading()
            notify.ready()
            return
        self._reload_wanted = True
        self._whole_wanted |= whole
        self._ask()

    def applied(self) -> bool:
        """A change was applied.  Whether it was a proposal, which then is answered and logged."""
        proposal, self._running = self._running, None
        self._tell_current()  # also to its author, who does not know the cells
        if proposal is None:
            return False
        log.info("reloaded: %d listeners", len(proposal.snapshot.active_listeners()))
        self._answer(proposal, None)
        return True

    def refused(self, message: str) -> None:
        """A change came to nothing."""
        log.error("the change was refused, nothing has changed: %s", message)
        proposal, self._running = self._running, None
        if proposal is not None and not self._answer(proposal, message):
            self._tell_current()  # to the heir of whoever proposed it

    def tell(self, state: dict[str, Any]) -> None:
        """The daemon as it is now, for `fastnlb status`; what has not changed is not said again."""
        if state != self._state:
            self._state = state
            self._tell_state()

    def reconcile(self) -> None:
        """Forks when it is time to, and begins the change that waits."""
        self._fleet.reconcile()
        if self._waiting is not None and not self._rollout.changing:
            self._begin(self._waiting)

    def next_deadline(self) -> float | None:
        return self._fleet.next_deadline()

    def bury(self, pid: int, status: int) -> bool:
        """Takes note of a dead child; False when it is not the control process."""
        return self._fleet.bury(pid, status)

    def dismiss(self, within: float) -> None:
        """Sends it home; nothing it says counts any more, and nobody waits for it."""
        self._dismissed = True
        self._reload_wanted = False
        self._waiting = None
        self._fleet.dismiss("stop", within)

    def finish(self) -> None:
        """Who has asked for the end is still to be answered: it has a moment to leave by itself."""
        control = self._control_leaving()
        if control is not None:
            with suppress(OSError):
                await_end(control.pid, FAREWELL)
        self._fleet.finish()

    def disinherit(self) -> None:
        self._fleet.disinherit()

    # Frames and deaths

    def _on_frame(self, control: Worker, frame: Frame) -> None:
        with closing(frame):
            if frame.kind == "notice":
                log.log(LEVELS.get(frame.fields["level"], logging.WARNING), "control: %s", frame.fields["message"])
            elif not self._dismissed:
                self._on_request(control, frame)

    def _on_request(self, control: Worker, frame: Frame) -> None:
        match frame.kind:
            case "booted":
                control.state = State.SERVING
                control.serving_since = time.monotonic()
                self._tell_current()
                self._tell_state()
                self._ask()
            case "ask":
                answer = partial(self._answer_ask, control.pid, frame.fields["serial"])
                self._on_ask(frame.fields["what"], answer)
            case "propose":
                self._propose(control, frame)
            case "workers":
                self._on_workers(frame.fields["count"])
            case "reloaded":
                self._reload_ended()
            case _:
                self._fleet.kill(control, f"sent a {frame.kind} frame, which is not for it to send")

    def _on_gone(self, _control: Worker, _status: int) -> None:
        self._waiting = None  # its heir decides anew
        if not self._reload_asked or self._dismissed:
            return
        self._reload_asked = False
        self._reload_deaths += 1
        if self._reload_deaths < RELOAD_ATTEMPTS:
            self._reload_wanted = True
            self._whole_wanted |= self._whole_asked
        else:
            log.error("the reload is given up: control died of it %d times; nothing has changed", self._reload_deaths)
            self._reload_over()

    def _control(self) -> Worker | None:
        """The control process, if it listens."""
        control = self._fleet.workers.get(0)
        return control if control is not None and control.state is State.SERVING else None

    def _control_leaving(self) -> Worker | None:
        control = self._fleet.workers.get(0)
        return control if control is not None and control.state is State.DRAINING else None

    def _tell_current(self) -> None:
        """Says what is in force; during a change nothing, or its answer would be a step behind."""
        control, in_force = self._control(), self._rollout.in_force
        if control is not None and in_force is not None and not self._rollout.changing:
            generation, payload = in_force
            self._fleet.send(control, "current", [payload], generation=generation)

    def _tell_state(self) -> None:
        control = self._control()
        if control is not None and self._state:
            self._fleet.send(control, "state", state=self._state)

    def _answer_ask(self, pid: int, serial: int, accepted: bool, message: str = "") -> None:
        """The answer to what `pid` has asked; its heir was not asked by anybody."""
        control = self._fleet.workers.get(0)
        if control is not None and control.pid == pid:
            self._fleet.send(control, "answer", serial=serial, accepted=accepted, message=message)

    # Reloads

    def _ask(self) -> None:
        control = self._control()
        if control is None or self._reload_asked or not self._reload_wanted:
            return
        self._reload_wanted, self._reload_asked = False, True
        self._whole_wanted, self._whole_asked = False, self._whole_wanted
        notify.reloading()
        self._fleet.send(control, "reload", whole=self._whole_asked)

    def _reload_ended(self) -> None:
        self._reload_asked = False
        self._reload_over()
        self._ask()

    def _reload_over(self) -> None:
        self._reload_deaths = 0
        if not self._reload_wanted:
            notify.ready()

    # Proposals

    def _propose(self, control: Worker, frame: Frame) -> None:
        try:
            snapshot = decode_snapshot(read_payload(frame.fds[0]))
        except Exception as error:
            self._fleet.kill(control, f"proposed what is no Snapshot ({error})")
            return
        if self._waiting is not None:
            self._answer(self._waiting, "a newer proposal came before its turn")
        self._waiting = _Proposal(control.pid, frame.fields["serial"], snapshot)

    def _begin(self, proposal: _Proposal) -> None:
        self._waiting = None
        self._running = proposal  # before the call: a change that nobody takes part in ends within it
        try:
            self._rollout.apply(proposal.snapshot)
        except (CannotListen, OSError, MemoryError) as error:
            self.refused(str(error) or type(error).__name__)
        except Exception as error:
            self.refused(f"{type(error).__name__}: {error}")  # the rollout is where it was

    def _answer(self, proposal: _Proposal, refusal: str | None) -> bool:
        """Whether its author is still there to be answered."""
        control = self._control()
        if control is None or control.pid != proposal.pid:
            return False
        accepted, message = refusal is None, refusal or ""
        self._fleet.send(control, "outcome", serial=proposal.serial, accepted=accepted, message=message)
        return True


def _no_main(_seat: object) -> int:
    raise AssertionError("there is no control process")
