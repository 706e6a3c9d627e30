"""The load generator and the origin behind every proxy, at the speed of C: one epoll loop on the calling thread.

Built by `FASTNLB_BENCH=1 python setup.py build_ext --inplace`.  Calls block and release the GIL; signals are looked
at several times a second.  Of a proxy that dies they make failed units and a bounded end.
"""

from __future__ import annotations

import resource
from typing import NoReturn

from OpenSSL import SSL

try:
    from bench._load.crowd import Crowd as _Crowd
    from bench._load.floor import IdleSessions
    from bench._load.floor import handshake_cost as _handshake_cost
    from bench._load.openloop import arrivals as _arrivals
    from bench._load.origin import Origin
    from bench._load.series import connections as _connections
    from bench._load.target import Target
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the load generator is not built ({error}): run FASTNLB_BENCH=1 python setup.py build_ext --inplace"
    ) from error
from bench._load.outcome import Outcome

__all__ = [
    "Crowd",
    "IdleSessions",
    "Outcome",
    "Target",
    "arrivals",
    "connections",
    "handshake_cost",
    "idle_sessions",
    "serve_origin",
]


def connections(
    target: Target, *, at_a_time: int = 1, seconds: float = 0.0, count: int = 0, resume: bool = False
) -> Outcome:
    """Whole connections: connect, handshake, one byte echoed, close_notify and FIN, the other side's end.

    `at_a_time` slots make one after the other, until `seconds` or `count` of them (0: no bound) is reached; those
    under way are then waited for.  A latency is from connect to the echo.  A connection that takes 10 s has failed,
    and its slot rests for 10 ms.  `resume`: each slot makes one connection that is not counted, then always offers
    its newest session; a connection that was not resumed has failed.  Raises OSError, ValueError.
    """
    _allow_descriptors()
    return _connections(target, at_a_time=at_a_time, seconds=seconds, count=count, resume=resume)


class Crowd(_Crowd):
    """`count` open connections, each proven by one echoed byte; a context manager.

    Raises OSError, and RuntimeError in one line when the target does not serve so many.  A connection that is lost
    stays lost; it is counted as failed in the task during which that was seen.  Nothing of it for 10 s: it is lost.
    What a signal's handler raises during a task closes the crowd.
    """

    def __init__(self, target: Target, count: int) -> None:
        _allow_descriptors()
        super().__init__(target, count)

    def echo(self, *, size: int, seconds: float, active: int | None = None, think_us: float = 0) -> Outcome:
        """Ping-pong of `size` bytes on the first `active` connections (None: all); a unit is a round trip.

        After each, a connection pauses for `think_us`.  It is a closed loop: a slow answer delays the next question.
        After the first call the crowd can do nothing but echo.  Raises ValueError.
        """
        return super().echo(size=size, seconds=seconds, active=active, think_us=think_us)

    def download(self, bytes_each: int) -> Outcome:
        """So much to all connections at once; a unit is a KiB, a latency that of a whole transfer.

        Raises ValueError, and RuntimeError after an echo.
        """
        return super().download(bytes_each)

    def upload(self, bytes_each: int) -> Outcome:
        """As `download`, the other way; it is over when the origin says that it has all."""
        return super().upload(bytes_each)


def arrivals(target: Target, *, per_second: float, seconds: float, kind: str) -> Outcome:
    """Connections that come at their times whatever becomes of them.

    `kind` is `full` (a handshake, then the end; a unit is one that was completed, its latency the handshake's), or
    `half` (a ClientHello, then nothing for 2 s) or `silent` (nothing for 2 s); their unit is one that came.  At most
    8192 are open at once: one that finds no place has failed.  Raises OSError, ValueError.
    """
    _allow_descriptors()
    return _arrivals(target, per_second=per_second, seconds=seconds, kind=kind)


def serve_origin(address: str, port: int) -> NoReturn:
    """Serve the commands of bench/_load/origin.pyx until a signal's handler raises.  Raises OSError, ValueError."""
    _allow_descriptors()
    Origin(address, port).serve()


def handshake_cost(
    server_context: SSL.Context, client_context: SSL.Context, count: int, resume: bool = False
) -> float:
    """Processor time in ns that the library takes for the server's side of a handshake in memory.

    With making and freeing its SSL object, without any socket.  `resume`: of one that takes a session up.  Raises
    RuntimeError when a handshake fails or is not resumed.
    """
    return _handshake_cost(server_context, client_context, count, resume)


def idle_sessions(server_context: SSL.Context, client_context: SSL.Context, count: int) -> IdleSessions:
    """The server's side of `count` connections after their handshakes, until `close`.  Raises RuntimeError."""
    return IdleSessions(server_context, client_context, count)


def _allow_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
