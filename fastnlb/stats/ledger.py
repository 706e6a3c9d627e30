"""The ledger: what each worker counts for each listener and for each server, in memory that outlives all of them.

    head        what follows, as JSON: another version of the program finds its way by that
    directory   for each kind and cell of the board: whose numbers they are
    blocks      for each kind, row and cell: the numbers, written by the worker of that row alone

A row more than there are workers is the master's: what the process before the predecessor had counted, and what
stood in a cell that was given to somebody else.  A name may be in the directory more than once, when it was given up
and came back; its numbers are the sum.  So nothing that was counted is ever taken back.  Most of the memory is a
hole: it is there once it is written to.

One writer per block and aligned 8-byte numbers: a reader never sees a torn one.  What the master moves it moves
between two steps of `_MOVES`, which is odd meanwhile: readers look again.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from operator import add

from fastnlb.stats.blocks import LISTENER_NUMBERS, SERVER_NUMBERS, Cell, stride
from fastnlb.stats.table import GAUGE

MEMORY_NAME = "fastnlb-ledger"
LISTENERS = "listeners"
SERVERS = "servers"
NAME_BYTES = 512
MOST_REMEMBERED = 20_000
"""Names without a cell whose numbers the master keeps, in case they come back."""

Totals = dict[str, dict[str, int]]
"""Name -> number -> value."""

_PAGE = 4096
_HEAD_BYTES = 16 * _PAGE
_MOVES = 8
_LENGTH = struct.Struct("=Q")
_NAME = struct.Struct("=H")
_PATIENCE = 1000  # times that a reader looks again: the master moves one cell at a time


def server_name(group: str, address: str, port: int) -> str:
    """How a server is called in the directory."""
    return f"{group}\n{address}\n{port}"


class Section:
    """The directory and the blocks of one kind."""

    def __init__(self, descriptor: int, memory: mmap.mmap, rows: int, layout: Mapping[str, object]) -> None:
        self._descriptor = descriptor
        self._memory = memory
        self._rows = rows
        self._cells = int(str(layout["cells"]))
        self._names_at = int(str(layout["names_at"]))
        self._name_bytes = int(str(layout["name_bytes"]))
        self._blocks_at = int(str(layout["blocks_at"]))
        self.stride = int(str(layout["stride"]))
        numbers = layout["numbers"]
        assert isinstance(numbers, list)  # noqa: S101 - as `_layout` makes it
        self.numbers: list[str] = numbers
        self._gauges = [index for index, name in enumerate(numbers) if name in _GAUGES]

    def row_at(self, row: int) -> int:
        return self._blocks_at + row * self._cells * self.stride

    def block_at(self, row: int, cell: int) -> int:
        return self.row_at(row) + cell * self.stride

    def name(self, cell: int) -> str:
        at = self._names_at + cell * self._name_bytes
        (length,) = _NAME.unpack_from(self._memory, at)
        return self._memory[at + _NAME.size : at + _NAME.size + length].decode()

    def set_name(self, cell: int, name: str) -> None:
        encoded = name.encode()[: self._name_bytes - _NAME.size]
        at = self._names_at + cell * self._name_bytes
        self._memory[at : at + _NAME.size + len(encoded)] = _NAME.pack(len(encoded)) + encoded

    def sums(self) -> dict[int, list[int]]:
        """Of every cell that anybody has written to, over all rows."""
        found: dict[int, list[int]] = {}
        for row in range(self._rows):
            for cell, block in self._written(row):
                found[cell] = list(map(add, found[cell], block)) if cell in found else block
        return found

    def sum(self, cell: int) -> list[int]:
        total = [0] * len(self.numbers)
        for row in range(self._rows):
            if any(True for _ in self._in_memory(self.block_at(row, cell), self.block_at(row, cell + 1))):
                total = list(map(add, total, self._block(row, cell)))
        return total

    def clear(self, cell: int) -> None:
        for row in range(self._rows):
            begin, end = self.block_at(row, cell), self.block_at(row, cell + 1)
            if any(True for _ in self._in_memory(begin, end)):
                self._memory[begin:end] = bytes(end - begin)

    def add(self, row: int, cell: int, values: Mapping[str, int]) -> None:
        """Into a row that nobody else writes to.  Numbers that this version has no word for are left out."""
        block = self._block(row, cell)
        block = [have + values.get(name, 0) for name, have in zip(self.numbers, block, strict=True)]
        struct.pack_into(f"{len(block)}Q", self._memory, self.block_at(row, cell), *block)

    def bury(self, row: int) -> None:
        """The worker of this row is gone: what it held is gone with it."""
        connections, crash = self.numbers.index("connections"), self._crash()
        for cell, block in self._written(row):
            if block[connections] and crash is not None:
                block[crash] += block[connections]
            for gauge in self._gauges:
                block[gauge] = 0
            struct.pack_into(f"{len(block)}Q", self._memory, self.block_at(row, cell), *block)

    def _crash(self) -> int | None:
        return self.numbers.index("closed_crash") if "closed_crash" in self.numbers else None

    def _block(self, row: int, cell: int) -> list[int]:
        at = self.block_at(row, cell)
        return list(struct.unpack_from(f"{len(self.numbers)}Q", self._memory, at))

    def _written(self, row: int) -> Iterator[tuple[int, list[int]]]:
        """The blocks of a row that are in memory, which at most a neighbour's are besides those in use."""
        begin = self.row_at(row)
        end = begin + self._cells * self.stride
        first = 0
        for data, hole in self._in_memory(begin, end):
            first = max(first, (data - begin) // self.stride)
            last = -(-(hole - begin) // self.stride)
            for cell in range(first, last):
                yield cell, self._block(row, cell)
            first = last

    def _in_memory(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts from `begin` to `end` that were ever written to."""
        while begin < end:
            try:
                data = os.lseek(self._descriptor, begin, os.SEEK_DATA)
            except OSError:
                return  # nothing but hole up to the end
            if data >= end:
                return
            hole = min(os.lseek(self._descriptor, data, os.SEEK_HOLE), end)
            yield data, hole
            begin = hole


_GAUGES = {cell.name for cell in (*LISTENER_NUMBERS, *SERVER_NUMBERS) if cell.kind == GAUGE}


class Ledger:
    """All of it.  Made before the first fork, by `create`; another process's is opened from its descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Raises ValueError when there is no ledger in this file."""
        self.descriptor = descriptor
        size = os.fstat(descriptor).st_size
        if size < _HEAD_BYTES:
            raise ValueError("a ledger is larger than that")
        self._memory = mmap.mmap(descriptor, size, mmap.MAP_SHARED)
        self._memory.madvise(mmap.MADV_DONTDUMP)
        (length,) = _LENGTH.unpack_from(self._memory, 0)
        begin = 2 * _LENGTH.size
        layout = json.loads(self._memory[begin : begin + length])
        self.places = layout["places"]
        rows = self.places + 1
        self.listeners = Section(descriptor, self._memory, rows, layout[LISTENERS])
        self.servers = Section(descriptor, self._memory, rows, layout[SERVERS])
        self._entered: dict[str, dict[int, str]] = {LISTENERS: {}, SERVERS: {}}
        self._past: dict[str, Totals] = {LISTENERS: {}, SERVERS: {}}

    @classmethod
    def create(cls, places: int, listener_cells: int, server_cells: int) -> Ledger:
        """For at most `places` workers and the cells of a board."""
        layout, size = _layout(places, listener_cells, server_cells)
        text = json.dumps(layout).encode()
        assert len(text) + 2 * _LENGTH.size <= _HEAD_BYTES  # noqa: S101 - as long as the tables are what they are
        descriptor = os.memfd_create(MEMORY_NAME, os.MFD_CLOEXEC)
        os.ftruncate(descriptor, size)
        os.pwrite(descriptor, _LENGTH.pack(len(text)) + _LENGTH.pack(0) + text, 0)
        return cls(descriptor)

    def addresses(self, row: int) -> tuple[int, int]:
        """Where the blocks of a worker for listeners and for servers begin in this process."""
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory, 0))
        return base + self.listeners.row_at(row), base + self.servers.row_at(row)

    def bury(self, row: int) -> None:
        """What the worker of this row held is gone with it; what it counted stays.  Before its heir starts."""
        self.listeners.bury(row)
        self.servers.bury(row)

    # --- the master ------------------------------------------------------------------------------------------------

    def remember(self, older: Ledger) -> None:
        """What a process that is gone has counted is part of what this one has."""
        for kind in (LISTENERS, SERVERS):
            self._past[kind] = older.totals(kind)

    def enter_listener(self, cell: int, name: str) -> None:
        """From here on the cell counts for `name`.  Nobody may be counting in it for another."""
        self._enter(LISTENERS, cell, name)

    def enter_server(self, cell: int, group: str, address: str, port: int) -> None:
        self._enter(SERVERS, cell, server_name(group, address, port))

    def _enter(self, kind: str, cell: int, name: str) -> None:
        entered, past = self._entered[kind], self._past[kind]
        before = entered.get(cell)
        if before == name:
            return
        section = self._section(kind)
        self._step()
        if before is not None:
            self._put_aside(kind, cell, before)
        section.set_name(cell, name)
        if name in past:
            section.add(self.places, cell, past.pop(name))
        entered[cell] = name
        self._step()

    def _put_aside(self, kind: str, cell: int, name: str) -> None:
        """The cell is needed: its numbers move to the other one of that name, or wait for the name to come back."""
        section, past = self._section(kind), self._past[kind]
        values = {
            number: value
            for number, value in zip(section.numbers, section.sum(cell), strict=True)
            if value and number not in _GAUGES
        }
        section.clear(cell)
        other = next((each for each, called in self._entered[kind].items() if called == name and each != cell), None)
        if other is not None:
            section.add(self.places, other, values)
            return
        while len(past) >= MOST_REMEMBERED:
            del past[next(iter(past))]
        past[name] = values

    def _step(self) -> None:
        (steps,) = _LENGTH.unpack_from(self._memory, _MOVES)
        struct.pack_into("Q", self._memory, _MOVES, steps + 1)

    # --- readers ---------------------------------------------------------------------------------------------------

    def totals(self, kind: str) -> Totals:
        """All numbers that are not zero, by name, of those names that have any."""
        section = self._section(kind)
        found: Totals = {}
        for name, values in self._steady(section):
            for number, value in zip(section.numbers, values, strict=True):
                if value:
                    mine = found.setdefault(name, {})
                    mine[number] = mine.get(number, 0) + value
        return found

    def _steady(self, section: Section) -> list[tuple[str, list[int]]]:
        """The name and the sums of each cell that has them, of a moment at which the master moved nothing."""
        for _ in range(_PATIENCE):
            (before,) = struct.unpack_from("Q", self._memory, _MOVES)
            found = [(name, values) for cell, values in section.sums().items() if (name := section.name(cell))]
            (after,) = struct.unpack_from("Q", self._memory, _MOVES)
            if before == after and before % 2 == 0:
                break
        return found

    def _section(self, kind: str) -> Section:
        return self.listeners if kind == LISTENERS else self.servers

    def close(self) -> None:
        """Unmap.  Raises BufferError while a core still holds an address."""
        self._memory.close()
        with suppress(OSError):
            os.close(self.descriptor)


def _layout(places: int, listener_cells: int, server_cells: int) -> tuple[dict[str, object], int]:
    """What stands where, and how large it all is."""
    at = _HEAD_BYTES
    layout: dict[str, object] = {"places": places}
    kinds: tuple[tuple[str, int, tuple[Cell, ...]], ...] = (
        (LISTENERS, listener_cells, LISTENER_NUMBERS),
        (SERVERS, server_cells, SERVER_NUMBERS),
    )
    for kind, cells, numbers in kinds:
        step = stride(numbers)
        names_at, blocks_at = at, at + _whole_pages(cells * NAME_BYTES)
        names = [each.name for each in numbers]
        layout[kind] = {
            "cells": cells,
            "names_at": names_at,
            "name_bytes": NAME_BYTES,
            "blocks_at": blocks_at,
            "stride": step,
            "numbers": names,
        }
        at = blocks_at + _whole_pages((places + 1) * cells * step)
    return layout, at


def _whole_pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE
