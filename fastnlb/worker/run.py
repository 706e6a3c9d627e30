"""The life of a worker: run the Engine, and between two runs do what the master says.

The Engine comes back only for a control frame, the end of a build, a notice or the end of a drain; nothing here is
called per connection.  Signals are the master's business: a worker that left on its own would leave its row of
listening sockets without an acceptor.  The end of the channel means that the master is gone: the worker then serves
what it has and leaves, so that no orphan lives for ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from OpenSSL import SSL

from fastnlb._core.defs import Notice, StopReason
from fastnlb._core.engine import Engine
from fastnlb.board import Board
from fastnlb.channel import ChannelClosed, ChannelError, DescriptorsLost, Frame
from fastnlb.master.process import WORKER_DONE, WORKER_REFUSED, Seat
from fastnlb.model import SocketKey
from fastnlb.stats.page import Page
from fastnlb.tls.binding import BindingError
from fastnlb.worker.boot import boot, fit_descriptor_limit
from fastnlb.worker.builder import Builder
from fastnlb.worker.compile import Compiled
from fastnlb.worker.contexts import Contexts

ORPHAN_DRAIN_SECONDS = 30.0
ORPHAN_GRACE_SECONDS = 5.0
NOTICE_INTERVAL_SECONDS = 60.0
NO_DESCRIPTORS = "its connections leave it no file descriptor for what it was sent"
MORE_DESCRIPTORS = "(raise the limit: ulimit -n, LimitNOFILE=; or try again when there are fewer)"
TOO_SLOW = "it takes them too slowly"
LOG_LOST = "the access log cannot be written as it should: lines are dropped (log_dropped): %s"
SHEDDING = (
    "has more clients before the end of their handshake than it has room for: those that take longest are reset to "
    "make room (handshakes_evicted, handshakes_shed)"
)


def main(seat: Seat, *, page: Page, board: Board, fronts: Sequence[SSL.Context] = ()) -> int:
    """Serve until the master says otherwise; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        engine = boot(page, board, seat.row)
    except (BindingError, OSError) as error:
        seat.channel.send("notice", level="error", message=str(error))
        return WORKER_REFUSED
    with contextlib.closing(engine):
        return Worker(seat, engine, page, fronts).serve()


class Worker:
    """Control frames in, Engine calls out."""

    def __init__(self, seat: Seat, engine: Engine, page: Page, fronts: Sequence[SSL.Context]) -> None:
        self._seat = seat
        self._page = page
        self._channel = seat.channel
        self._engine = engine
        self._contexts = Contexts(fronts)
        self._builder = Builder(self._contexts)
        self._building: tuple[int, Future[Compiled]] | None = None
        self._compiled: Compiled | None = None
        self._sockets: dict[SocketKey, int] = {}
        self._prepared: int | None = None
        self._access_log = -1  # for the configuration that is prepared
        self._logs = False
        self._lacking = 0  # the generation of which not all descriptors came
        self._gone_with = 0  # the generation that sockets went with last
        self._master_gone = False
        self._stopping = False
        self._last_pause_notice = float("-inf")
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "sockets": self._on_sockets,
            "prepare": self._on_prepare,
            "commit": self._on_commit,
            "reopened": self._on_reopened,
            "rollback": self._on_rollback,
            "drain": self._on_drain,
            "retire": self._on_retire,
            "stop": self._on_stop,
        }

    def serve(self) -> int:
        self._engine.watch(self._channel.fileno())
        self._engine.watch(self._builder.fileno())
        self._say("booted")
        while not self._stopping:
            reason = self._engine.run()
            if reason == StopReason.STOP_WATCH:
                self._receive()
                self._take_built()
            elif reason == StopReason.STOP_NOTICE:
                self._pass_on_notice()
            elif reason == StopReason.STOP_PARTED:
                self._tell_parted()
            elif reason == StopReason.STOP_DRAINED:
                self._say("drained")
                return WORKER_DONE
            else:
                raise OSError("the event loop cannot poll its descriptors")
            self._builder.keep_only(self._engine.generations() | self._coming())
        return WORKER_DONE

    # --- frames ------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        try:
            while not self._master_gone and not self._stopping:
                try:
                    frame = self._channel.receive()
                except DescriptorsLost as lost:
                    self._on_lost(lost)
                    continue
                if frame is None:
                    return
                self._handlers[frame.kind](frame)
        except (ChannelClosed, ChannelError):
            self._orphaned()

    def _on_lost(self, lost: DescriptorsLost) -> None:
        """Connections have all the descriptors.  What is served goes on; what the frame was about does not happen."""
        if lost.kind == "reopened":
            self._say("notice", level="error", message=f"{NO_DESCRIPTORS}: its access log stays the one it has")
            return
        self._lacking = lost.fields["generation"]
        if lost.kind == "prepare":
            self._refuse_lacking()

    def _refuse_lacking(self) -> None:
        self._close_sockets()
        self._say("refused", generation=self._lacking, message=f"{NO_DESCRIPTORS} {MORE_DESCRIPTORS}")

    def _orphaned(self) -> None:
        if not self._master_gone:
            self._master_gone = True
            # Nobody else would end a worker that hangs.
            signal.alarm(int(ORPHAN_DRAIN_SECONDS + ORPHAN_GRACE_SECONDS))
            self._engine.unwatch(self._channel.fileno())
            self._engine.drain(ORPHAN_DRAIN_SECONDS)

    def _on_sockets(self, frame: Frame) -> None:
        keys = [(name, port) for name, ports in frame.fields["ports"].items() for port in ports]
        for key, descriptor in zip(keys, frame.fds, strict=True):
            if key in self._sockets:
                os.close(self._sockets[key])
            self._sockets[key] = descriptor

    def _on_prepare(self, frame: Frame) -> None:
        generation = frame.fields["generation"]
        if generation == self._lacking:
            frame.close()
            self._refuse_lacking()
            return
        self._building = generation, self._builder.build(generation, frame.fds[0])
        self._close_access_log()
        self._access_log = frame.fds[1] if len(frame.fds) > 1 else -1

    def _take_built(self) -> None:
        """After the frames: what has been rolled back meanwhile is nobody's any more."""
        self._builder.hush()
        if self._building is None or not self._building[1].done():
            return
        (generation, built), self._building = self._building, None
        try:
            self._prepare(generation, built.result())
        except Exception as error:
            # Whatever it was, the state that is served has not been touched.
            self._close_sockets()
            self._close_access_log()
            self._say("refused", generation=generation, message=str(error) or type(error).__name__)
        else:
            self._prepared = generation
            self._say("prepared", generation=generation)

    def _prepare(self, generation: int, compiled: Compiled) -> None:
        if self._access_log >= 0:
            self._engine.begin_access_log()
        self._contexts.configure(compiled.fronts)
        self._engine.prepare(generation, compiled.listeners, compiled.groups, self._sockets)
        self._compiled = compiled
        self._sockets = {}

    def _coming(self) -> set[int]:
        """The generation that is being built or waits for its commit."""
        return {self._building[0]} if self._building is not None else {self._prepared or 0}

    def _on_commit(self, frame: Frame) -> None:
        self._engine.commit()
        self._prepared = None
        self._commit_access_log()
        if self._compiled is not None:
            self._page.put(self._seat.row, self._compiled.numbers)
        fit_descriptor_limit(self._engine)
        self._gone_with = frame.fields["generation"]
        self._say("applied", generation=frame.fields["generation"])

    def _on_rollback(self, frame: Frame) -> None:
        self._engine.rollback()
        self._prepared = self._building = None
        self._lacking = 0
        self._close_sockets()
        self._close_access_log()

    def _commit_access_log(self) -> None:
        self._logs = self._access_log >= 0
        self._engine.access_log(self._access_log)
        self._access_log = -1  # the engine's

    def _on_reopened(self, frame: Frame) -> None:
        """Also for what waits for its commit: that was offered before."""
        (descriptor,) = frame.fds
        if self._access_log >= 0:
            self._close_access_log()
            self._access_log = os.dup(descriptor)
        if self._logs:
            self._engine.access_log(descriptor)
        else:
            os.close(descriptor)

    def _on_drain(self, frame: Frame) -> None:
        self._engine.drain(float(frame.fields["seconds"]))

    def _on_retire(self, frame: Frame) -> None:
        self._gone_with = frame.fields["generation"]
        self._engine.drain(float(frame.fields["seconds"]), parting=self._engine.keys())
        self._tell_parted()  # there may have been none

    def _on_stop(self, frame: Frame) -> None:
        self._stopping = True

    def _close_sockets(self) -> None:
        for descriptor in self._sockets.values():
            os.close(descriptor)
        self._sockets = {}

    def _close_access_log(self) -> None:
        if self._access_log >= 0:
            os.close(self._access_log)
            self._access_log = -1

    # --- upwards -----------------------------------------------------------------------------------------------

    def _say(self, kind: str, **fields: Any) -> None:
        if self._master_gone:
            return
        try:
            self._channel.send(kind, **fields)
            # Only a master that has not read for hundreds of frames gets us here; it must not lose one.
            while self._channel.pending:
                poll = select.poll()  # not select: a worker may have more descriptors than that can name
                poll.register(self._channel, select.POLLOUT)
                poll.poll(1000)
                self._channel.flush()
        except ChannelClosed:
            self._orphaned()

    def _tell_parted(self) -> None:
        """What still parts was in the configuration that it accepts for, and went with a later one."""
        oldest = self._engine.parting()
        fit_descriptor_limit(self._engine)
        self._say("parted", generation=self._gone_with if oldest is None else oldest)

    def _pass_on_notice(self) -> None:
        """A worker at its limit pauses and resumes many times a second: one line a minute says enough."""
        notice = self._engine.notice()
        now = time.monotonic()
        if notice == Notice.NOTICE_SHEDDING:
            self._say("notice", level="warning", message=SHEDDING)
        if notice == Notice.NOTICE_LOG:
            error = self._engine.access_log_error()
            self._say("notice", level="error", message=LOG_LOST % (os.strerror(error) if error else TOO_SLOW))
        if notice != Notice.NOTICE_DESCRIPTORS or now - self._last_pause_notice < NOTICE_INTERVAL_SECONDS:
            return
        self._last_pause_notice = now
        self._say(
            "notice",
            level="warning",
            message=f"has reached its limit of {self._engine.descriptor_limit} descriptors "
            "for connections: new ones wait until some are free; raise the limit (ulimit -n, LimitNOFILE=)",
        )
