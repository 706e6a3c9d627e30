"""What a daemon has one of: its pid file and its admin socket.  A hot restart passes them on.

take        from nobody, or what the predecessor has handed over; what is still its own is left to it
confirm     the predecessor has let go: the rest
hand_over   to a successor, which finds them as they stand
close       nobody comes after: they are removed
"""

from __future__ import annotations

import logging
import os
from typing import Any

from fastnlb.master.admin_socket import AdminSocket
from fastnlb.master.inherit import Predecessor
from fastnlb.master.pidfile import PidFile, PidFileError

log = logging.getLogger("fastnlb.master")


class Holdings:
    """Either may be None, for a daemon without."""

    def __init__(self, pid_file: PidFile | None, admin: AdminSocket | None, predecessor: Predecessor | None) -> None:
        self._pid_file = pid_file
        self._admin = admin
        self._predecessor = predecessor

    def take(self) -> None:
        """Raises PidFileError or AdminSocketError."""
        theirs = {} if self._predecessor is None else self._predecessor.facts
        if self._pid_file is not None and theirs.get("pid_file") != str(self._pid_file.path):
            self._pid_file.acquire()
        if self._admin is None:
            return
        handed = None if self._predecessor is None else self._predecessor.descriptors.pop("admin", None)
        if handed is not None and theirs.get("admin") == str(self._admin.path):
            self._admin.take_over(handed)
            return
        if handed is not None:
            os.close(handed)  # or who comes to the old one would wait for an answer for ever
        self._admin.open()

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
            "admin": None if self._admin is None else str(self._admin.path),
        }

    def descriptors(self) -> dict[str, int]:
        return {} if self._admin is None else {"admin": self._admin.listening.fileno()}

    def hand_over(self) -> None:
        if self._pid_file is not None:
            self._pid_file.hand_over()
        if self._admin is not None:
            self._admin.hand_over()

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()
        if self._pid_file is not None:
            self._pid_file.release()

    def disinherit_admin(self) -> None:
        """For a child that answers no commands."""
        if self._admin is not None:
            self._admin.disinherit()

    def disinherit(self) -> None:
        """For every child."""
        if self._pid_file is not None:
            self._pid_file.disinherit()
