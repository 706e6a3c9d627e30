"""The shared counter page: one row per worker, written by its core, read by anyone who holds the page.

The page is an anonymous memory file made before the first fork, so a row outlives the worker that wrote it and
its heir goes on counting in the same row.  One writer per row and aligned 8-byte numbers: a reader never sees a
torn value, and never a whole row of one instant.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Mapping

from fastnlb.stats.table import GAUGE, INDEX, NUMBERS, ROW_BYTES

CACHE_LINE = 64
STRIDE = (ROW_BYTES + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
MEMORY_NAME = "fastnlb-counters"


class Page:
    """`rows` rows of numbers in shared memory."""

    def __init__(self, descriptor: int, rows: int) -> None:
        self.descriptor = descriptor
        self.rows = rows
        self._map = mmap.mmap(descriptor, rows * STRIDE, mmap.MAP_SHARED)

    @classmethod
    def create(cls, rows: int) -> Page:
        descriptor = os.memfd_create(MEMORY_NAME, os.MFD_CLOEXEC)
        os.ftruncate(descriptor, rows * STRIDE)
        return cls(descriptor, rows)

    def address(self, row: int) -> int:
        """Where a worker's row begins in this process; valid for as long as the page is open."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._map, row * STRIDE))

    def row(self, row: int) -> dict[str, int]:
        values = struct.unpack_from(f"={len(NUMBERS)}Q", self._map, row * STRIDE)
        return {number.name: value for number, value in zip(NUMBERS, values, strict=True)}

    def total(self) -> dict[str, int]:
        """Every number over all rows: most of them summed."""
        rows = [self.row(index) for index in range(self.rows)]
        return {number.name: number.over(row[number.name] for row in rows) for number in NUMBERS}

    def put(self, row: int, values: Mapping[str, int]) -> None:
        """Write numbers that the core does not: their one writer is the worker of that row."""
        for name, value in values.items():
            struct.pack_into("=Q", self._map, row * STRIDE + 8 * INDEX[name], value)

    def reset_gauges(self, row: int) -> None:
        """What a dead worker held is gone with it; what it counted stays.  Call before its heir starts."""
        for index, number in enumerate(NUMBERS):
            if number.kind == GAUGE:
                struct.pack_into("=Q", self._map, row * STRIDE + 8 * index, 0)

    def close(self) -> None:
        """Unmap.  Raises BufferError while a core still holds an address."""
        self._map.close()
        os.close(self.descriptor)
