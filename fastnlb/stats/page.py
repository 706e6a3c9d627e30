"""The shared counter page: one row per worker, written by its core, read by anyone who holds the page.

The page is an anonymous memory file made before the first fork, so a row outlives the worker that wrote it and
its heir goes on counting in the same row.  One writer per row and aligned 8-byte numbers: a reader never sees a
torn value, and never a whole row of one instant.

Behind the rows of workers there are as many more, for what a process that is gone has counted in each of them.  A
page goes with its ledger, which has the numbers of listeners and servers.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Mapping, Sequence

from fastnlb.stats.ledger import Ledger
from fastnlb.stats.table import COUNTER, GAUGE, INDEX, NUMBERS, ROW_BYTES

CACHE_LINE = 64
STRIDE = (ROW_BYTES + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
MEMORY_NAME = "fastnlb-counters"
NAMES = tuple(number.name for number in NUMBERS)


class Page:
    """`rows` rows of numbers in shared memory, and as many that are inherited.

    One of another version of the program has numbers of other `names` in rows of another `stride`.
    """

    def __init__(
        self,
        descriptor: int,
        rows: int,
        ledger: Ledger | None = None,
        *,
        stride: int = STRIDE,
        names: Sequence[str] = NAMES,
    ) -> None:
        self.descriptor = descriptor
        self.rows = rows
        self.ledger = ledger
        self._stride = stride
        self._names = names
        self._map = mmap.mmap(descriptor, 2 * rows * stride, mmap.MAP_SHARED)

    @classmethod
    def create(cls, rows: int, ledger: Ledger | None = None) -> Page:
        descriptor = os.memfd_create(MEMORY_NAME, os.MFD_CLOEXEC)
        os.ftruncate(descriptor, 2 * rows * STRIDE)
        return cls(descriptor, rows, ledger)

    def address(self, row: int) -> int:
        """Where a worker's row begins in this process; valid for as long as the page is open."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._map, row * STRIDE))

    def row(self, row: int) -> dict[str, int]:
        """Every number that this version has, of a worker, without what is inherited."""
        values = struct.unpack_from(f"{len(self._names)}Q", self._map, row * self._stride)
        found = dict(zip(self._names, values, strict=True))
        return {name: found.get(name, 0) for name in NAMES}

    def history(self, row: int) -> dict[str, int]:
        """The same with what is inherited."""
        own, inherited = self.row(row), self.row(self.rows + row)
        return {number.name: number.over((own[number.name], inherited[number.name])) for number in NUMBERS}

    def total(self) -> dict[str, int]:
        """Every number over all workers' rows: most of them summed."""
        rows = [self.row(index) for index in range(self.rows)]
        return {number.name: number.over(row[number.name] for row in rows) for number in NUMBERS}

    def put(self, row: int, values: Mapping[str, int]) -> None:
        """Write numbers that the core does not: their one writer is the worker of that row."""
        for name, value in values.items():
            struct.pack_into("Q", self._map, row * STRIDE + 8 * INDEX[name], value)

    def bury(self, row: int) -> None:
        """What a dead worker held is gone with it; what it counted stays.  Call before its heir starts."""
        dead = self.row(row)
        gauges = {number.name: 0 for number in NUMBERS if number.kind == GAUGE}
        self.put(row, {**gauges, "closed_crash": dead["closed_crash"] + dead["connections"]})
        if self.ledger is not None:
            self.ledger.bury(row)

    def remember(self, older: Page) -> None:
        """What a process that is gone has counted is part of what this one has.  Before anybody reads this page."""
        for row in range(older.rows):
            place = self.rows + row % self.rows
            had, have = older.history(row), self.row(place)
            counters = (number.name for number in NUMBERS if number.kind == COUNTER)
            self.put(place, {name: have[name] + had[name] for name in counters})
        if self.ledger is not None and older.ledger is not None:
            self.ledger.remember(older.ledger)

    def descriptors(self) -> dict[str, int]:
        """What a successor needs to read it, with `layout`."""
        ledger = {} if self.ledger is None else {"ledger": self.ledger.descriptor}
        return {"page": self.descriptor, **ledger}

    def layout(self) -> list[object]:
        return [self.rows, self._stride, list(self._names)]

    def close(self) -> None:
        """Unmap.  Raises BufferError while a core still holds an address."""
        self._map.close()
        os.close(self.descriptor)
        if self.ledger is not None:
            self.ledger.close()
