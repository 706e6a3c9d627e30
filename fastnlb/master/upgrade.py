"""Hot restart, from the side of the old master: exec the program anew, hand it what it needs, and give way to it.

    begin      the command line of this process is started again, with one end of a channel
    heritage   it is sent what there is to know and every listening socket; both serve on them from here on
    `ready`    every worker of the successor accepts: this process lets go and drains
    else       `failed`, its death, or no answer in time: this process goes on as if nothing had happened

At most two generations live: nothing is begun while a predecessor still drains.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from fastnlb.channel import Channel, ChannelClosed, ChannelError, Frame, channel_pair
from fastnlb.master.process import describe_exit
from fastnlb.master.signals import restore_defaults
from fastnlb.master.sockets import Rows

SUCCESSION = "FASTNLB_SUCCESSION"
"""The environment variable that tells a successor its descriptor of the channel."""
PATIENCE = 120.0  # seconds for the successor to serve; it may have ten thousand certificates to read
ROWS_PER_FRAME = 100
SERVERS_PER_FRAME = 100  # likewise: there may be 65,536, and a frame has its limit
_CANNOT_EXEC = 127

log = logging.getLogger("fastnlb.master")


@dataclass(frozen=True, slots=True)
class Command:
    """How this process was started, to be done again."""

    arguments: tuple[str, ...]
    folder: str

    @classmethod
    def of_this_process(cls) -> Command:
        """To be called before the working directory changes."""
        try:
            folder = os.getcwd()  # noqa: PTH109 - a string, to chdir to
        except OSError:
            folder = "/"  # it is gone, and with it whatever could be relative to it
        return cls((sys.executable, *sys.orig_argv[1:]), folder)


@dataclass(frozen=True, slots=True)
class Estate:
    """What there is to hand over: the facts, the descriptors that they name, the listening sockets, and what is known
    of the health of servers.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    descriptors: Mapping[str, int] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)
    health: Sequence[list[Any]] = ()


class Upgrade:
    """One successor at a time.  `on_ready` is told the rows that it leaves, `on_failed` why there is none."""

    def __init__(
        self,
        command: Command | None,
        selector: selectors.BaseSelector,
        disinherit: Callable[[], None],
        *,
        on_ready: Callable[[int, list[int]], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._command = command
        self._selector = selector
        self._disinherit = disinherit
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._channel: Channel | None = None
        self._pid = 0
        self._deadline: float | None = None
        self._last_words = ""

    @property
    def running(self) -> bool:
        """Whether a successor is on its way."""
        return self._deadline is not None

    @property
    def possible(self) -> bool:
        return self._command is not None

    def begin(self, estate: Estate) -> None:
        """Starts the successor.  Raises OSError, and then there is none."""
        assert self._command is not None and not self.running  # noqa: S101 - the caller has asked
        ours, theirs = channel_pair()
        try:
            self._pid = self._exec(self._command, theirs, ours)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel, self._last_words = ours, ""
        self._deadline = time.monotonic() + PATIENCE
        self._selector.register(ours, selectors.EVENT_READ, self._on_channel)
        log.info("hot restart: process %d begins", self._pid)
        self._hand_over(ours, estate)
        self._watch()

    def next_deadline(self) -> float | None:
        return self._deadline

    def reconcile(self) -> None:
        """Ends the wait for one that takes too long."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._fail(f"it was not ready within {PATIENCE:.0f} s")

    def bury(self, pid: int, status: int) -> bool:
        """Takes note of a dead child; False when it is not the successor."""
        if pid != self._pid:
            return False
        self._pid = 0
        if self.running:
            self._read()  # it may have said why
            self._fail(self._last_words or describe_exit(status))
        return True

    def release(self) -> None:
        """Tells the successor that all is its own now."""
        self._send("released")

    def abort(self) -> None:
        """Nobody wants a successor any more."""
        if self.running:
            self._send("abort")
            self._fail("this process is ending")

    def close(self) -> None:
        """Lets go of the channel: to the successor the end of this process."""
        if self._channel is not None:
            with suppress(KeyError):
                self._selector.unregister(self._channel)
            self.disinherit()

    def disinherit(self) -> None:
        """In a forked child: the end of the channel has to mean the end of this process."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _exec(self, command: Command, theirs: Channel, ours: Channel) -> int:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _become(command, theirs, mask)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid

    # The channel

    def _hand_over(self, channel: Channel, estate: Estate) -> None:
        """What stands in the way of it (no descriptor is left for a copy) ends the attempt, and nothing else."""
        try:
            for kind, fds, fields in _frames(estate):
                channel.send(kind, fds, **fields)
        except ChannelClosed:
            pass  # its death tells
        except (OSError, ValueError) as error:
            self._fail(f"it cannot be handed what it needs: {error}")

    def _on_channel(self, events: int) -> None:
        if events & selectors.EVENT_WRITE and self._channel is not None:
            self._flush(self._channel)
        self._read()
        self._watch()

    def _flush(self, channel: Channel) -> None:
        try:
            channel.flush()
        except ChannelClosed:
            pass  # as above
        except OSError as error:
            self._fail(f"it cannot be handed what it needs: {error}")

    def _read(self) -> None:
        try:
            while self._channel is not None and (frame := self._channel.receive()) is not None:
                with closing(frame):
                    self._obey(frame)
        except ChannelClosed:
            self.close()  # its death, with its exit code, comes in a moment
        except (ChannelError, OSError) as error:
            self._fail(f"it broke the protocol ({error})")

    def _obey(self, frame: Frame) -> None:
        if frame.kind == "failed":
            self._last_words = frame.fields["message"]
        elif frame.kind == "ready" and self.running and self._pid:  # one that is dead serves nobody
            self._deadline = None
            self._on_ready(self._pid, frame.fields["unserved"])

    def _send(self, kind: str) -> None:
        if self._channel is not None:
            with suppress(ChannelClosed):
                self._channel.send(kind)

    def _watch(self) -> None:
        if self._channel is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.pending else 0)
            self._selector.modify(self._channel, events, self._on_channel)

    def _fail(self, why: str) -> None:
        """This process goes on.  What is left of the successor is ended."""
        self._deadline = None
        self.close()
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)  # it is reaped like any child
        self._on_failed(why)


def _frames(estate: Estate) -> Iterator[tuple[str, list[int], dict[str, Any]]]:
    names = list(estate.descriptors)
    facts = {**estate.facts, "descriptors": names}
    yield "heritage", [estate.descriptors[name] for name in names], {"heritage": facts}
    keys = list(estate.rows)
    for start in range(0, len(keys), ROWS_PER_FRAME):
        batch = keys[start : start + ROWS_PER_FRAME]
        yield "rows", [estate.rows[key].fileno() for key in batch], {"rows": [list(key) for key in batch]}
    for start in range(0, len(estate.health), SERVERS_PER_FRAME):
        yield "health", [], {"health": estate.health[start : start + SERVERS_PER_FRAME]}
    yield "handed", [], {}


def _become(command: Command, channel: Channel, mask: set[int | signal.Signals]) -> None:
    """The child, up to exec: everything but the channel and the standard streams closes there by itself."""
    try:
        restore_defaults()
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with suppress(OSError):
            os.chdir(command.folder)
        os.set_inheritable(channel.fileno(), True)
        environment = {**os.environ, SUCCESSION: str(channel.fileno())}
        if "WATCHDOG_PID" in environment:
            environment["WATCHDOG_PID"] = str(os.getpid())
        os.execve(command.arguments[0], command.arguments, environment)  # noqa: S606 - our own command line
    except BaseException as error:
        with suppress(Exception):
            channel.send("failed", message=f"cannot start {command.arguments[0]}: {error}")
    finally:
        os._exit(_CANNOT_EXEC)
