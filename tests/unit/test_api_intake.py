"""Bodies of requests: one is bounded, and so is what all hold together; ordinary ones always get in."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fastnlb.control.api.errors import ApiError
from fastnlb.control.api.intake import MIB, MOST_BODY, MOST_BODY_OF_ALL, MOST_HELD, WHOLE_STATE, Intake


def sender(size: int) -> Receive:
    """A client that sends so much, a MiB at a time."""
    pieces = [MIB] * (size // MIB) + [size % MIB]

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(pieces.pop(0)), "more_body": bool(pieces)}

    return receive


def read(receive: Receive) -> int:
    async def whole() -> int:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        return size

    return asyncio.run(whole())


@pytest.mark.parametrize(("path", "most"), [("/api/v1/listeners", MOST_BODY), (WHOLE_STATE, MOST_BODY_OF_ALL)])
def test_a_body_of_the_most_there_may_be_is_read_and_one_byte_more_is_not(path: str, most: int) -> None:
    intake = Intake()
    with intake.body(path, sender(most)) as receive:
        assert read(receive) == most
    with intake.body(path, sender(most + 1)) as receive, pytest.raises(HTTPException) as refused:
        read(receive)
    assert refused.value.status_code == 413


def test_large_ones_at_the_same_time_are_few_and_keep_no_small_one_out() -> None:
    intake = Intake()
    with ExitStack() as busy:
        for _ in range(MOST_HELD // MOST_BODY_OF_ALL):
            read(busy.enter_context(intake.body(WHOLE_STATE, sender(MOST_BODY_OF_ALL))))
        with intake.body(WHOLE_STATE, sender(2 * MIB)) as receive, pytest.raises(ApiError) as refused:
            read(receive)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        with intake.body("/api/v1/listeners", sender(MOST_BODY)) as receive:
            assert read(receive) == MOST_BODY
    with intake.body(WHOLE_STATE, sender(MOST_BODY_OF_ALL)) as receive:
        assert read(receive) == MOST_BODY_OF_ALL, "what was refused and what is done with holds nothing"
