"""The admin port: `admin.listen`, where the control process answers over TCP.

As with the admin socket the master owns it, from the start of the daemon to its end, so that a hot restart hands it
on and a client that comes between two lives of the control process waits in the queue.
"""

from __future__ import annotations

import socket

from fastnlb.master.admin_socket import BACKLOG, AdminSocketError
from fastnlb.model import place


class AdminPort:
    """`open` binds; `close` lets go."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._socket: socket.socket | None = None

    @property
    def name(self) -> str:
        return place(self.address, self.port)

    @property
    def listening(self) -> socket.socket:
        """Borrowed; only between `open` and `close`."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        return self._socket

    def open(self) -> None:
        """Raises AdminSocketError."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((self.address, self.port))
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            reason = error.strerror or error
            raise AdminSocketError(f"cannot listen on {self.name} (admin.listen): {reason}") from error
        self._socket = sock

    def take_over(self, descriptor: int) -> None:
        """It is open already, and was handed to us."""
        self._socket = socket.socket(fileno=descriptor)

    def close(self) -> None:
        """Idempotent; in a forked child too: what others have of it stays open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
