"""What an HTTP check says to a server, and what it makes of the answer: pure, bytes in and a verdict out.

Only status lines are judged, strictly as RFC 9112 has them; interim answers (1xx) are skipped.  Nothing of a body is
ever needed.  The Host header is the `domain` alone, without a port, as in the cloud.
"""

from __future__ import annotations

import re

from fastnlb.board import Reason
from fastnlb.model import HTTP_1_1, SERVER_IP, UNIX, HealthCheck

MOST_BYTES = 4096  # of an answer that has not come to its status line yet

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5])(\d\d)(?: [^\r\n\0]*)?\r\n")
_PREFIX = b"HTTP/1."
_SWITCHING = b"01"  # 101 is final: it was not asked for


def request(check: HealthCheck, address: str) -> bytes:
    """The whole request.  Without a domain HTTP/1.0 has no Host, and HTTP/1.1, which needs one, the address.

    A unix socket has none, and is called localhost.
    """
    newer = check.http_version == HTTP_1_1
    domain = SERVER_IP if check.domain is None and newer else check.domain
    host = _called(address) if domain == SERVER_IP else domain
    lines = [
        f"{check.method} {check.url} HTTP/{'1.1' if newer else '1.0'}",
        *([] if host is None else [f"Host: {host}"]),
        "User-Agent: fastnlb-health-check",
        "Accept: */*",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def judge(answer: bytes, codes: tuple[str, ...]) -> Reason | None:
    """The verdict on what has come so far; None: more has to come."""
    at = 0
    while (line := _STATUS_LINE.match(answer, at)) is not None:
        if line[1] != b"1" or line[2] == _SWITCHING:
            return Reason.NONE if f"http_{line[1].decode()}xx" in codes else Reason.HTTP_CODE_NOT_MATCH
        end = answer.find(b"\r\n\r\n", line.end() - 2)
        if end < 0:
            return _if_room(answer)
        at = end + 4
    rest = answer[at:]
    if b"\n" in rest or rest[: len(_PREFIX)] != _PREFIX[: len(rest)]:
        return Reason.HTTP_INVALID_HEADER
    return _if_room(answer)


def _if_room(answer: bytes) -> Reason | None:
    return Reason.HTTP_INVALID_HEADER if len(answer) >= MOST_BYTES else None


def _called(address: str) -> str:
    if address.startswith(UNIX):
        return "localhost"
    return f"[{address}]" if ":" in address else address
