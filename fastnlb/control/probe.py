"""One probe of one server: a non-blocking socket and where it stands.  Knows no clock and no selector.

    CONNECTING -> (TCP) verdict
    CONNECTING -> SENDING -> (TCP with a PROXY protocol header) verdict
    CONNECTING -> SENDING -> RECEIVING -> (HTTP) verdict

A unix socket is probed where it is, whatever port the check names; its full queue is a failure, at once.
`begin` and `step` return a verdict (Reason.NONE: the server is well) or None while the probe goes on; the owner then
waits for `events`.  Each phase has its own time, which the owner keeps; `overdue` is the verdict when it is up.
The socket is closed with RST, because the probe ends first and would leave a TIME_WAIT for each; but not where the
header is all it says, which a server might then not read.
"""

from __future__ import annotations

import enum
import errno
import selectors
import socket
import struct

from fastnlb.board import Reason
from fastnlb.control import http_check
from fastnlb.model import HTTP, UNIX, HealthCheck

PROXY_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
"""The header, version 2, of a connection that is nobody's but the sender's: command LOCAL, no addresses."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_END_AT_CLOSE = struct.pack("ii", 0, 0)
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Shortage(Exception):  # noqa: N818 - of this machine, and no fault of the server's
    """This process lacks what a probe needs."""


class Phase(enum.Enum):
    CONNECTING = "connecting"
    SENDING = "sending"
    RECEIVING = "receiving"


class Probe:
    """From `begin` to `close`."""

    def __init__(self, check: HealthCheck, address: str, port: int) -> None:
        self._check = check
        self._address = address
        self._place = (
            address.removeprefix(UNIX) if address.startswith(UNIX) else (address, check.connect_port or port)
        )
        self._socket: socket.socket | None = None
        self._unsent = b""
        self._answer = b""
        self.phase = Phase.CONNECTING

    @property
    def events(self) -> int:
        return selectors.EVENT_READ if self.phase is Phase.RECEIVING else selectors.EVENT_WRITE

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def begin(self) -> Reason | None:
        """Raises Shortage."""
        family = _family(self._address)
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            error = self._socket.connect_ex(self._place)
        except OSError as failed:
            error = failed.errno or errno.EINVAL
        if error in _OURS:
            self.close()
            raise Shortage(errno.errorcode[error])
        return None if error in (0, errno.EINPROGRESS) else _connect_verdict(error)

    def step(self) -> Reason | None:
        """To be called when the socket is ready for `events`."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        if self.phase is Phase.CONNECTING:
            return self._connected(self._socket)
        try:
            return self._send(self._socket) if self.phase is Phase.SENDING else self._receive(self._socket)
        except BlockingIOError:
            return None
        except OSError:
            return Reason.CONNECT_INTERRUPT

    def overdue(self) -> Reason:
        return Reason.CONNECT_TIMEOUT if self.phase is Phase.CONNECTING else Reason.RECV_RESPONSE_TIMEOUT

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self, sock: socket.socket) -> Reason | None:
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return _connect_verdict(error)
        if sock.getsockname()[:2] == self._place:
            # Nobody listens, and the kernel gave us that very port: TCP then connects the socket to itself.
            return Reason.CONNECT_FAILED
        self._unsent = self._opening()
        if not self._unsent:
            return Reason.NONE
        self.phase = Phase.SENDING
        return self.step()

    def _opening(self) -> bytes:
        """All that is ever said."""
        header = PROXY_LOCAL if self._check.proxy_protocol else b""
        return header + http_check.request(self._check, self._address) if self._check.type == HTTP else header

    def _send(self, sock: socket.socket) -> Reason | None:
        self._unsent = self._unsent[sock.send(self._unsent) :]
        if self._unsent:
            return None
        if self._check.type != HTTP:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _END_AT_CLOSE)
            return Reason.NONE
        self.phase = Phase.RECEIVING
        return None

    def _receive(self, sock: socket.socket) -> Reason | None:
        data = sock.recv(http_check.MOST_BYTES - len(self._answer))
        if not data:
            return Reason.CONNECT_INTERRUPT
        self._answer += data
        return http_check.judge(self._answer, self._check.http_codes)


def _family(address: str) -> socket.AddressFamily:
    if address.startswith(UNIX):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _connect_verdict(error: int) -> Reason:
    return Reason.CONNECT_TIMEOUT if error == errno.ETIMEDOUT else Reason.CONNECT_FAILED
