"""A change that cannot be promised: what goes wrong once it is served takes it back, and the next one is done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastnlb.control.commands import Outcome, Reply
from fastnlb.control.desired.writes import Document, Edited, Made, Store, Wish, Writer
from fastnlb.control.store.loader import StoreLoader

GROUP = {"name": "g", "servers": [{"address": "127.0.0.1", "port": 9}]}


class Daemon:
    """A control process whose master accepts all; `asked` is what was staged each time."""

    def __init__(self, loader: StoreLoader) -> None:
        self.loop = asyncio.get_running_loop()
        self.offer = SimpleNamespace(snapshot=loader.load().snapshot)
        self.commands = self
        self.asked: list[tuple[str, bool]] = []
        self._loader = loader

    async def done(self, what: str, at_once: Reply = lambda _outcome: None) -> Outcome:
        self.asked.append((what, self._loader.staged is not None))
        outcome = Outcome(True)
        at_once(outcome)
        return outcome


def with_group(document: Document, _store: Store) -> Edited:
    return Edited({**document, "server_groups": [GROUP]})


def no_answer(_made: Made) -> dict[str, Any]:
    raise OSError("too many open files")


@pytest.fixture
def loader(tmp_path: Path) -> StoreLoader:
    made = StoreLoader(tmp_path / "state")
    made.start()
    return made


def test_who_cannot_be_answered_was_promised_nothing_and_the_next_change_is_done(loader: StoreLoader) -> None:
    async def changes() -> None:
        daemon: Any = Daemon(loader)
        writer = Writer(daemon, loader)
        with pytest.raises(OSError, match="too many open files"):
            await writer.make(Wish(with_group, "me", "first"), no_answer)
        assert daemon.asked == [("change", True), ("change", False)], "and the way back"
        assert loader.store.head() is None
        done = await writer.make(Wish(with_group, "me", "second"), lambda made: {"revision": made.revision})
        head = loader.store.head()
        assert head is not None
        assert done.answer == {"revision": head.number}
        assert daemon.asked[2:] == [("change", True)]
        assert loader.staged is None

    try:
        asyncio.run(changes())
    finally:
        loader.close()
