"""What a daemon has one of: its pid file, its admin socket and its admin port.  A hot restart passes them on.

take        from nobody, or what the predecessor has handed over; what is still its own is left to it
confirm     the predecessor has let go: the rest
hand_over   to a successor, which finds them as they stand
close       nobody comes after: they are removed
"""

from __future__ import annotations

import logging
import os
from typing import Any

from fastnlb.master.admin_port import AdminPort
from fastnlb.master.admin_socket import AdminSocket
from fastnlb.master.inherit import Predecessor
from fastnlb.master.pidfile import PidFile, PidFileError

log = logging.getLogger("fastnlb.master")


class Holdings:
    """Each may be None, for a daemon without."""

    def __init__(
        self,
        pid_file: PidFile | None,
        admin: AdminSocket | None,
        predecessor: Predecessor | None,
        port: AdminPort | None = None,
    ) -> None:
        self._pid_file = pid_file
        self._admin = admin
        self._port = port
        self._predecessor = predecessor

    def take(self) -> None:
        """Raises PidFileError or AdminSocketError."""
        theirs = {} if self._predecessor is None else self._predecessor.facts
        if self._pid_file is not None and theirs.get("pid_file") != str(self._pid_file.path):
            self._pid_file.acquire()
        _take(self._admin, self._handed("admin"), theirs.get("admin"))
        _take(self._port, self._handed("admin_port"), theirs.get("admin_port"))

    def confirm(self) -> None:
        pid = 0 if self._predecessor is None else self._predecessor.pid
        try:
            if self._pid_file is not None and not self._pid_file.held:
                self._pid_file.acquire(pid)
            if self._admin is not None:
                self._admin.confirm(pid)
        except PidFileError as error:
            log.error("%s", error)  # no reason not to serve

    def facts(self) -> dict[str, Any]:
        """Where they are, for a successor."""
        return {
            "pid_file": None if self._pid_file is None else str(self._pid_file.path),
            "admin": None if self._admin is None else self._admin.name,
            "admin_port": None if self._port is None else self._port.name,
        }

    def descriptors(self) -> dict[str, int]:
        held = {"admin": self._admin, "admin_port": self._port}
        return {name: each.listening.fileno() for name, each in held.items() if each is not None}

    def hand_over(self) -> None:
        if self._pid_file is not None:
            self._pid_file.hand_over()
        if self._admin is not None:
            self._admin.hand_over()

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()
        if self._port is not None:
            self._port.close()
        if self._pid_file is not None:
            self._pid_file.release()

    def disinherit_admin(self) -> None:
        """For a child that answers no commands."""
        if self._admin is not None:
            self._admin.disinherit()
        if self._port is not None:
            self._port.close()

    def disinherit(self) -> None:
        """For every child."""
        if self._pid_file is not None:
            self._pid_file.disinherit()

    def _handed(self, what: str) -> int | None:
        return None if self._predecessor is None else self._predecessor.descriptors.pop(what, None)


def _take(door: AdminSocket | AdminPort | None, handed: int | None, theirs: str | None) -> None:
    """Opens it, unless the predecessor has handed over the very same."""
    if handed is not None and door is not None and theirs == door.name:
        door.take_over(handed)
        return
    if handed is not None:
        os.close(handed)  # or who comes to the old one would wait for an answer for ever
    if door is not None:
        door.open()
