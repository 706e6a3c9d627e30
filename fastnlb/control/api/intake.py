"""How much of request bodies is held in memory: of one, and of all that come in by a door at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fastnlb.control.api.errors import LATER, ApiError

MIB = 1024 * 1024
MOST_BODY = MIB
MOST_BODY_OF_ALL = 64 * MIB
MOST_HELD = 128 * MIB
WHOLE_STATE = "/api/v1/apply"


class Intake:
    """The bodies that come in by one door."""

    def __init__(self) -> None:
        self._held = 0

    @contextmanager
    def body(self, path: str, receive: Receive) -> Iterator[Receive]:
        """Gives the body of a request, up to the size that makes sense for `path`; it is held till the end of this.

        Raises HTTPException 413 for more, and ApiError 503 for a large one where others have sent much that is not
        dealt with yet.  An ordinary body gets in all the same: nobody's large ones keep others from small changes.
        """
        most = MOST_BODY_OF_ALL if path == WHOLE_STATE else MOST_BODY
        had = 0

        async def receive_some() -> Message:
            nonlocal had
            message = await receive()
            size = len(message.get("body", b""))
            had += size
            self._held += size
            if had > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {most // MIB} MiB")
            if had > MOST_BODY and self._held > MOST_HELD:
                detail = "too many large requests are being read: try again when they are done"
                raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, detail, code="SystemBusy", headers=LATER)
            return message

        try:
            yield receive_some
        finally:
            self._held -= had
