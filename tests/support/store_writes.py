"""A long row of changes to a store, the same in every process that has the seed."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

from fastnlb.config.build import RESOURCES
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Remembered, Revision

Document = dict[str, list[dict[str, Any]]]


def nothing() -> Document:
    return {kind: [] for kind in RESOURCES}


def listener(name: str, port: int = 443, **more: Any) -> dict[str, Any]:
    return {"name": name, "protocol": "TCP", "port": port, "server_group": "g", **more}


def group(name: str, servers: int = 1, weight: int = 100) -> dict[str, Any]:
    made = [{"address": f"10.0.{n >> 8}.{n & 255}", "port": 80, "weight": weight} for n in range(servers)]
    return {"name": name, "servers": made}


def serving(*listeners: dict[str, Any], **more: Any) -> Document:
    """A state that can be served: these listeners, on one group."""
    return {**nothing(), "server_groups": [group("g")], "listeners": list(listeners), **more}


def put(store: Store, wanted: Document, author: str = "me", summary: str = "a change") -> Revision:
    """The next revision."""
    head = store.head()
    return store.commit(store.stage(wanted, author, summary, expected_head=head.number if head else None))


class Writes:
    """Change `number` (from 1 on) is what revision `number` came of."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    @cache  # noqa: B019 - for the length of a test
    def document(self, number: int) -> Document:
        """The state after it.  Certificates are named by what stands for their material: see `material`."""
        if number == 0:
            return nothing()
        chance = random.Random(f"{self._seed} {number}")  # noqa: S311
        before = self.document(number - 1)
        document = {kind: list(blocks) for kind, blocks in before.items()}
        kind = chance.choice(["listeners", "server_groups", "certificates"])
        blocks = document[kind]
        at = chance.randint(0, len(blocks))
        if at < len(blocks) and chance.random() < 0.4:
            del blocks[at]
        elif at < len(blocks) and chance.random() < 0.5:
            blocks[at] = self._made(kind, blocks[at]["name"], chance)
        else:
            blocks.insert(at, self._made(kind, f"r{number}", chance))
        return document

    @staticmethod
    def _made(kind: str, name: str, chance: random.Random) -> dict[str, Any]:
        if kind == "listeners":
            return listener(name, chance.randint(1, 65_535))
        if kind == "server_groups":
            return group(name, chance.choice([1, 3, 200]), chance.randint(0, 100))
        return {"name": name, "certificate": f"{chance.random()}", "private_key": f"key {chance.random()}"}

    def stored(self, store: Store, number: int) -> Document:
        """The state after it, with its material in the store."""
        document = self.document(number)
        held = document["certificates"]
        items = [(each[key].encode(), suffix) for each in held for key, suffix in FILES.items()]
        names = iter(store.take_in_all(items))
        return {
            **document,
            "certificates": [{"name": each["name"], **{k: next(names) for k in FILES}} for each in held],
        }

    def make(self, store: Store, number: int, **options: Any) -> None:
        """Stages and commits it."""
        document = self.stored(store, number)
        staged = store.stage(document, "writer", f"change {number}", expected_head=number - 1 or None, **options)
        store.commit(staged, idempotency=Remembered(f"token {number}", "s", 201, "{}"))

    def assert_whole(self, path: Path) -> int:
        """Opens the store, demands that it has every change up to one and nothing else; the number of that."""
        store = Store.open(path)
        try:
            head = store.head()
            number = 0 if head is None else head.number
            assert [each.number for each in store.revisions(limit=10_000)] == list(range(number, 0, -1))
            assert with_material(store.document(), path) == self.document(number)
            if number:
                assert store.recall(f"token {number}") is not None
            assert store.recall(f"token {number + 1}") is None
        finally:
            store.close()
        return number


FILES = {"certificate": "pem", "private_key": "key"}


def with_material(document: Any, path: Path) -> Document:
    """The document with what the files hold in place of their names."""

    def plain(block: dict[str, Any]) -> dict[str, Any]:
        return {key: (path / value).read_text() if key in FILES else value for key, value in block.items()}

    return {**document, "certificates": [plain(block) for block in document["certificates"]]}
