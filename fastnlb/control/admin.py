"""What the admin socket answers: the state of the daemon, and what it is asked to do.

    GET  /api/v1/status    the daemon, its workers, listeners and servers, as they are now
    GET  /api/v1/plan      what a reload of the file `config` (a query parameter) would change
    POST /api/v1/reload    reads the configuration again; answers when it serves, or with why it does not
    POST /api/v1/upgrade   hot restart; answers when the successor serves, or with why it does not
    POST /api/v1/stop      drains and ends; answers at once

A request that was refused is a 409 with `lines` that say why.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from fastnlb.control.http import Reply, Request

OK = 200
NOT_FOUND = 404
NOT_ALLOWED = 405
CONFLICT = 409


class Outlet(Protocol):
    """The sending half of a Channel."""

    def send(self, kind: str, **fields: Any) -> None: ...


class Admin:
    """Requests in, questions to the master out; whoever has asked waits in here for the answer."""

    def __init__(
        self, outlet: Outlet, status: Callable[[], dict[str, Any]], plan: Callable[[str], tuple[bool, list[str]]]
    ) -> None:
        self._outlet = outlet
        self._status = status
        self._plan = plan
        self._serials = count(1)
        self._asked: dict[int, Reply] = {}
        self._reload_waiting: list[Reply] = []
        self._reload_running: list[Reply] = []

    def handle(self, request: Request, reply: Reply) -> None:
        """One request of a client."""
        route = request.path.removeprefix("/api/v1/")
        wanted = {"status": "GET", "plan": "GET", "reload": "POST", "upgrade": "POST", "stop": "POST"}.get(route)
        if wanted is None or route == request.path:
            reply(NOT_FOUND, {"error": f"there is no {request.path}"})
        elif request.method != wanted:
            reply(NOT_ALLOWED, {"error": f"{request.path} takes {wanted}, not {request.method}"})
        elif route == "status":
            reply(OK, self._status())
        elif route == "plan":
            _answer(reply, *self._plan(request.query.get("config", "")))
        else:
            self._ask(route, reply)

    def on_reload(self) -> None:
        """A reload begins: it answers all who have asked so far."""
        self._reload_running += self._reload_waiting
        self._reload_waiting = []

    def on_reloaded(self, accepted: bool, lines: list[str]) -> None:
        """It has ended.  `lines`: what has changed, or why nothing has."""
        waiting, self._reload_running = self._reload_running, []
        for reply in waiting:
            _answer(reply, accepted, lines)

    def on_answer(self, serial: int, accepted: bool, message: str) -> None:
        """The master's answer.  Of a reload it only says that it will be: `on_reloaded` has the answer."""
        reply = self._asked.pop(serial, None)
        if reply is None:
            return
        if reply in self._reload_waiting:
            if accepted:
                return
            self._reload_waiting.remove(reply)
        _answer(reply, accepted, [message] if message else [])

    def _ask(self, what: str, reply: Reply) -> None:
        serial = next(self._serials)
        self._asked[serial] = reply
        if what == "reload":
            self._reload_waiting.append(reply)
        self._outlet.send("ask", serial=serial, what=what)


def _answer(reply: Reply, accepted: bool, lines: list[str]) -> None:
    reply(OK if accepted else CONFLICT, {"accepted": accepted, "lines": lines})
