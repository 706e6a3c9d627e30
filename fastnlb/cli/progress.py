"""A sign of life on a terminal while something takes long; elsewhere nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE_SECONDS = 0.5


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """For the length of a block: `what` beside a spinner on standard error, from half a second on."""
    if not sys.stderr.isatty():
        yield
        return
    spinner = _Spinner(what)
    timer = threading.Timer(PATIENCE_SECONDS, spinner.begin)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        spinner.end()


class _Spinner:
    """Begins at most once, and never after its end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._turn = threading.Lock()
        self._over = False
        self._shown: Status | None = None

    def begin(self) -> None:
        from rich.console import Console  # noqa: PLC0415  only for those who wait
        from rich.status import Status  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        with self._turn:
            if not self._over:
                self._shown = Status(Text(f"{self._what} ..."), console=Console(stderr=True))
                self._shown.start()

    def end(self) -> None:
        with self._turn:
            self._over = True
            if self._shown is not None:
                self._shown.stop()
