"""The listening sockets: one per (listener name, port, row), all made and kept by the master.  A worker has a row.

The sockets of one listener and port form a SO_REUSEPORT group, over which the kernel spreads new connections.  A
worker works on a duplicate of its socket; the connections queued on it outlive the worker because the master's copy
stays open for as long as the listener is configured.  Closing the last copy resets what waits in the queue.

A range of ports has one group, to which the kernel is told to steer all of it (`steer`).  Where that cannot be had
there is a group for each port.  A range that changes keeps the groups on ports that it still has.

`open_rows` stages, `adopt` makes it the truth (a commit), `Staged.close` drops it (a rollback), `close_retired`
closes what is no longer had, once no worker uses it.  Opening is all or nothing.  `open_row` and `retire_row` are the
same for one worker more and fewer.  All along, new connections go to sockets that are accepted on (`reuseport`).

A successor of another master begins with the sockets of that one (`inherited`), and takes those that are just what it
would open.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from fastnlb.master.limits import open_files, open_files_needed
from fastnlb.master.listen import (
    START_PATIENCE,
    CannotListen,
    begin,
    bind,
    is_at,
    listen,
    listens_at,
    overlap,
    probe,
    refusal,
    set_mss,
    sole_opener,
)
from fastnlb.master.reuseport import Groups
from fastnlb.master.steer import LACKING, Steering, suspects
from fastnlb.model import Listener, Snapshot, SocketKey

Key = tuple[str, int, int]  # listener, port, row
Rows = dict[Key, socket.socket]

log = logging.getLogger("fastnlb.master")


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """What a change means for the sockets.  A listener that moved to another address or other ports is opened and
    closed; `tunes` are those that keep sockets and need other options on them.
    """

    opens: tuple[Listener, ...]
    closes: tuple[str, ...]
    tunes: tuple[Listener, ...] = ()


def plan_sockets(old: Snapshot, new: Snapshot) -> SocketPlan:
    """The difference between the listeners that accept in `old` and in `new`."""
    before = {listener.name: listener for listener in old.active_listeners()}
    after = {listener.name: listener for listener in new.active_listeners()}
    places = {name: _place(listener) for name, listener in before.items()}
    opens = tuple(each for each in after.values() if places.get(each.name) != _place(each))
    closes = tuple(name for name, place in places.items() if name not in after or _place(after[name]) != place)
    tunes = tuple(each for each in after.values() if each.name in before and _other_options(before[each.name], each))
    return SocketPlan(opens, closes, tunes)


def _place(listener: Listener) -> tuple[str, int, int]:
    return listener.address, listener.port, listener.last_port


def _other_options(old: Listener, new: Listener) -> bool:
    """Whether sockets stay, and with an option that changes."""
    stay = old.address == new.address and old.ports[0] <= new.ports[-1] and new.ports[0] <= old.ports[-1]
    return stay and old.mss != new.mss


@dataclass(slots=True)
class Staged:
    """All sockets of listeners that are opened, of which `fresh` were not there before; and what steers to them.

    `silent` ones are bound and not listened on before the decision: till then a socket of ours on all addresses gets
    the connections to theirs.
    """

    rows: Rows = field(default_factory=dict)
    fresh: list[socket.socket] = field(default_factory=list)
    silent: set[socket.socket] = field(default_factory=set)
    steering: dict[str, Steering] = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)

    def close(self) -> None:
        """The rollback of `open_rows`; also in a forked child, so that nothing is said to the kernel."""
        for steering in self.steering.values():
            steering.close()
        while self.fresh:
            sock = self.fresh.pop()
            sock.close()
            if sock not in self.silent:
                self.groups.forget(sock)

    def begin(self) -> None:
        """The decision has fallen."""
        for sock in [sock for sock in self.fresh if sock in self.silent]:
            _begin(sock)
            self.groups.join(sock)
        self.silent.clear()


class SocketTable:
    """The master's copies of every listening socket."""

    def __init__(self, inherited: Rows | None = None) -> None:
        self._rows: Rows = {}
        self._inherited = {} if inherited is None else inherited
        self._retired: list[socket.socket] = []
        self._groups = Groups()
        for sock in self._inherited.values():
            self._groups.inherit(sock)
        self._absent: set[int] = set()
        self._steering: dict[str, Steering] = {}

    def open_rows(self, listeners: Iterable[Listener], count: int) -> Staged:
        """Listening sockets for `count` workers on each listener; the caller's until `adopt`.  Or CannotListen."""
        held = [*self._rows.values(), *self._retired, *self._inherited.values()]
        opening = _Opening(self._rows, held, count, self._groups, self._inherited)
        try:
            for listener in listeners:
                opening.open(listener)
        except BaseException:
            opening.staged.close()
            raise
        return opening.staged

    @property
    def quiet(self) -> bool:
        """Whether all sockets there are have somebody who accepts, and none is going."""
        return not self._retired and not self._absent

    def handed_on(self) -> Rows:
        """Every socket, those of a group in the kernel's order."""
        order = {sock: at for at, sock in enumerate(self._groups.everyone())}
        return dict(sorted(self._rows.items(), key=lambda item: order[item[1]]))

    def disown(self) -> list[int]:
        """What was inherited and has no use goes, and its rows are told: no new connections reach it, and its last
        acceptor is somebody else's.  `close_retired`, when that one is gone.
        """
        unused, rows = list(self._inherited.values()), sorted({row for _, _, row in self._inherited})
        self._inherited.clear()
        self._retired += unused
        self._groups.arrange(going=unused)
        return rows

    def row(self, index: int) -> dict[SocketKey, socket.socket]:
        """What worker `index` serves."""
        return _row(self._rows, index)

    def next_row(self, index: int, staged: Staged, closes: Iterable[str]) -> dict[SocketKey, socket.socket]:
        """What worker `index` will serve once this is adopted."""
        stay = {key: sock for key, sock in self.row(index).items() if key[0] not in closes}
        return stay | _row(staged.rows, index)

    def adopt(self, staged: Staged, closes: Iterable[str] = ()) -> list[socket.socket]:
        """Takes in what `open_rows` made, and retires the sockets of `closes`, which it gives: still open, but in no
        row, and no new connections go to them.
        """
        staged.begin()
        for steering in staged.steering.values():
            _aim(steering)
        stay = set(staged.rows.values())
        retired: list[socket.socket] = []
        for name in closes:
            self._stop_steering(name)
            retired += [sock for sock in self._pop(name) if sock not in stay]
        self._retired += retired
        self._rows.update(staged.rows)
        self._steering.update(staged.steering)
        absent = [sock for key, sock in staged.rows.items() if key[2] in self._absent]
        self._groups.arrange(chosen=set(staged.fresh).difference(absent), waiting=absent, going=retired)
        return retired

    def open_row(self, listeners: Iterable[Listener], row: int) -> None:
        """Sockets of one worker more on each listener, absent until it is present.  Raises CannotListen."""
        by_name = {listener.name: listener for listener in listeners}
        opened: Rows = {}
        try:
            for (name, port, _), sibling in [each for each in self._rows.items() if each[0][2] == 0]:
                self._groups.brace(sibling)
                with refusal(by_name[name], port):
                    opened[name, port, row] = sock = listen(by_name[name], port)
                self._groups.join(sock)
        except BaseException:
            self._groups.close(opened.values())
            raise
        self._rows.update(opened)
        self.set_absent(row)

    def retire_row(self, row: int) -> list[socket.socket]:
        """One worker fewer: its sockets, which no new connections go to any more; still open, but in no row."""
        retired = [self._rows.pop(key) for key in [key for key in self._rows if key[2] == row]]
        self._retired += retired
        self._absent.discard(row)
        self._groups.arrange(going=retired)
        return retired

    def set_absent(self, row: int) -> None:
        """Nobody accepts on its sockets at the moment: new connections go to others, if there are any."""
        self._absent.add(row)
        self._groups.arrange(waiting=_row(self._rows, row).values())

    def set_present(self, row: int) -> None:
        if row in self._absent:
            self._absent.discard(row)
            self._groups.arrange(chosen=_row(self._rows, row).values())

    def tune(self, listener: Listener) -> None:
        """Gives the sockets of a listener its options, for connections to come; raises nothing after `try_options`.

        The workers' copies are the same open sockets.
        """
        for key, sock in self._rows.items():
            if key[0] == listener.name:
                set_mss(sock, listener)

    def close_retired(self, socks: Iterable[socket.socket] | None = None) -> None:
        """Closes these of what was retired, or all of it."""
        closing = set(self._retired if socks is None else socks)
        self._retired = [sock for sock in self._retired if sock not in closing]
        self._groups.close(closing)

    def close_all(self) -> None:
        """Closes everything; also in a forked child, so that nothing is said to the kernel."""
        for name in list(self._steering):
            self._stop_steering(name)
        for sock in (*self._rows.values(), *self._retired, *self._inherited.values()):
            sock.close()
            self._groups.forget(sock)
        self._rows.clear()
        self._retired.clear()
        self._inherited.clear()

    def _stop_steering(self, name: str) -> None:
        steering = self._steering.pop(name, None)
        if steering is not None:
            steering.close()

    def _pop(self, name: str) -> list[socket.socket]:
        return [self._rows.pop(key) for key in [key for key in self._rows if key[0] == name]]


class _Opening:
    """One call of `open_rows`.  `rows` and `held` are what this process has already, `inherited` what it may take."""

    def __init__(
        self, rows: Rows, held: Collection[socket.socket], count: int, groups: Groups, inherited: Rows
    ) -> None:
        self.staged = Staged(groups=groups)
        self._rows = rows
        self._inherited = inherited
        self._patience = 0.0 if rows or held else START_PATIENCE
        self._count = count
        self._held: dict[int, list[socket.socket]] = defaultdict(list)
        for sock in held:
            self._held[sock.getsockname()[1]].append(sock)

    def open(self, listener: Listener) -> None:
        if not listener.last_port:
            self._open_port(listener, listener.port)
        elif (obstacle := self._steer(listener)) is not None:
            self._check_limit(listener, obstacle)
            for port in listener.ports:
                self._open_port(listener, port)
            sockets = self._count * len(listener.ports)
            why = f"the kernel cannot be told to steer its ports to one for each worker: {obstacle}"
            log.warning("listener %s: %d sockets, one for each port and worker: %s", listener.name, sockets, why)

    def _steer(self, listener: Listener) -> str | None:
        """Why it cannot be done, or None when it is."""
        self._look_around(listener)
        port = self._anchor(listener)
        self._open_port(listener, port)
        sock = self.staged.rows[listener.name, port, 0]
        try:
            trial = self._over(listener, port) if sock in self.staged.silent else sock
            steering = Steering(listener.address, listener.port, listener.last_port, sock, trial=trial)
        except OSError as error:
            return LACKING.get(error.errno or 0) or str(error.strerror or error).lower()
        self.staged.steering[listener.name] = steering
        return None

    def _anchor(self, listener: Listener) -> int:
        """The port of a range that its sockets are bound to: the one of old, or the first that is not ours yet."""
        kept = [port for port in listener.ports if self._keeps(listener, port) or self._has_for(listener, port)]
        free = (port for port in listener.ports if not self._ours(listener, port))
        return kept[0] if kept else next(free, listener.port)

    def _look_around(self, listener: Listener) -> None:
        """Steering goes over the heads of other programs that listen on a port of the range: CannotListen instead.

        Whether the address is another one, so that it does not matter, is for the kernel to say.
        """
        ours = {os.fstat(sock.fileno()).st_ino for socks in self._held.values() for sock in socks}
        for port in suspects(listener.ports, ours):
            if not self._ours(listener, port):
                with refusal(listener, port):
                    probe(listener, port)

    def _check_limit(self, listener: Listener, obstacle: str) -> None:
        others = sum(len(socks) for port, socks in self._held.items() if port not in listener.ports) // self._count
        # Twice: a frame that waits for its worker to read holds copies of what it will give.
        needed = open_files_needed(self._count, others + 2 * len(listener.ports))
        if open_files() < needed:
            limit = f"the limit of {open_files()} open files is too low for a socket for each port and worker"
            way = f"it must be {needed} or more (ulimit -Hn, LimitNOFILE=)"
            reason = f"{limit}: {way}; one for all ports cannot be had: {obstacle}"
            raise CannotListen(listener.name, listener.address, listener.port, reason, listener.last_port)

    def _open_port(self, listener: Listener, port: int) -> None:
        keys = [(listener.name, port, index) for index in range(self._count)]
        if self._keeps(listener, port):
            self.staged.rows.update((key, self._rows[key]) for key in keys)
            return
        for key in keys:
            self._inherit(listener, key)
        if all(key in self.staged.rows for key in keys):
            return
        with refusal(listener, port), sole_opener(port):
            if not self._ours(listener, port):
                probe(listener, port, self._patience)
            # Nobody accepts on the new ones before the change is decided.
            if (member := self._member(listener, port)) is not None:
                self.staged.groups.brace(member)
            silent = member is None and self._ours(listener, port)
            for key in keys:
                if key not in self.staged.rows:
                    self._take(key, (bind if silent else listen)(listener, port), silent=silent)

    def _inherit(self, listener: Listener, key: Key) -> None:
        sock = self._inherited.get(key)
        if sock is not None and listens_at(sock, listener.address, key[1]):
            with refusal(listener, key[1]):
                set_mss(sock, listener)
            self.staged.rows[key] = self._inherited.pop(key)
            self.staged.fresh.append(sock)

    def _has_for(self, listener: Listener, port: int) -> bool:
        """Whether a socket for this very port was inherited."""
        sock = self._inherited.get((listener.name, port, 0))
        return sock is not None and listens_at(sock, listener.address, port)

    def _take(self, key: Key, sock: socket.socket, *, silent: bool) -> None:
        if silent:
            self.staged.silent.add(sock)
        else:
            self.staged.groups.join(sock)
        self.staged.rows[key] = sock
        self.staged.fresh.append(sock)
        self._held[key[1]].append(sock)

    def _keeps(self, listener: Listener, port: int) -> bool:
        """Whether the listener of this name has sockets on this very address and port."""
        held = [self._rows.get((listener.name, port, index)) for index in range(self._count)]
        return all(sock is not None and is_at(sock, listener.address) for sock in held)

    def _member(self, listener: Listener, port: int) -> socket.socket | None:
        """A socket of ours on this very address and port, whosever it is: the new ones join its group."""
        return next((sock for sock in self._held.get(port, ()) if is_at(sock, listener.address)), None)

    def _ours(self, listener: Listener, port: int) -> bool:
        """Whether a socket of this process already holds the address, so that a probe would only find ourselves."""
        return self._over(listener, port) is not None

    def _over(self, listener: Listener, port: int) -> socket.socket | None:
        """A socket of ours that gets connections to this address, or some of them."""
        return next((sock for sock in self._held.get(port, ()) if overlap(listener, sock)), None)


def _begin(sock: socket.socket) -> None:
    try:
        begin(sock)
    except OSError as error:  # no other program could bind beside the socket that held its place
        log.error("%s is not served: %s", sock.getsockname(), error)


def _aim(steering: Steering) -> None:
    try:
        steering.aim()
    except OSError as error:  # only a kernel short of memory: it was tried before
        log.error("a range of ports is not served: %s", error)


def _row(rows: Rows, index: int) -> dict[SocketKey, socket.socket]:
    return {(name, port): sock for (name, port, each), sock in rows.items() if each == index}
