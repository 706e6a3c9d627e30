"""What goes wrong in the loop of the control process where nobody waits for it: a line of the log, no traceback."""

from __future__ import annotations

import asyncio
import gc

import pytest

from fastnlb.control.loop import make_loop
from fastnlb.control.run import on_stray_error


async def fail() -> None:
    raise RuntimeError("odd")


def test_an_error_that_nobody_waits_for_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    loop = make_loop(lambda: None)
    loop.set_exception_handler(on_stray_error)
    try:
        loop.create_task(fail())
        loop.run_until_complete(two_turns())
        gc.collect()
    finally:
        loop.close()
    (record,) = caplog.records
    assert record.getMessage() == "Task exception was never retrieved: RuntimeError: odd"
    assert record.exc_info is None


async def two_turns() -> None:
    for _ in range(2):
        await asyncio.sleep(0)
