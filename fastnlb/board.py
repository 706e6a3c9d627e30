"""The shared board: what all workers must agree on at once, in memory that every process of a daemon maps.

A cell for each server and each listener, given out by the master (master/cells.py) and named by number in an Offer.

    server    health and reason (written by control), failures in a row (by the workers, atomically),
              then the connections of each worker to it
    listener  the instant the next new connection is due (cps; by the workers, atomically),
              then the connections of each worker on it

and behind the cells the number of places that were ever taken (by the workers, atomically).

Each worker counts its connections in a place of its own, so a worker that dies takes nobody's count with it: its heir
clears that place.  A count over all workers is a sum over the places that were ever taken.  Integers are of the
machine's byte order and aligned; a reader never sees a torn one.  `_core/board.pxd` is the same layout for the core.
"""

from __future__ import annotations

import ctypes
import enum
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import suppress

CACHE_LINE = 64
SERVER_CELLS = 65_536
LISTENER_CELLS = 16_384
LEAST_PLACES = 64
"""Places for workers at least, so that their number may grow; memory that is not used is not there."""

MEMORY_NAME = "fastnlb-board"

_HEALTH = struct.Struct("=II")
_FAILURES = struct.Struct("=I")
_COUNT = struct.Struct("=i")
_TAKEN = struct.Struct("=Q")
_FAILURES_AT = 8


class Health(enum.IntEnum):
    """Of a server, as the last checks found it.  Only UNHEALTHY ones are passed over."""

    INITIAL = 0  # nothing is known yet
    HEALTHY = 1
    UNHEALTHY = 2
    UNAVAILABLE = 3  # nobody checks


class Reason(enum.IntEnum):
    """Why a server is unhealthy; the names are those of the reference API."""

    NONE = 0
    CONNECT_TIMEOUT = 1
    CONNECT_FAILED = 2
    RECV_RESPONSE_TIMEOUT = 3
    CONNECT_INTERRUPT = 4
    HTTP_CODE_NOT_MATCH = 5
    HTTP_INVALID_HEADER = 6


class Board:
    """The cells of one daemon, for at most `places` workers.  Made before the first fork, by `create`."""

    server_cells = SERVER_CELLS
    listener_cells = LISTENER_CELLS

    def __init__(self, descriptor: int, places: int) -> None:
        self.descriptor = descriptor
        self.places = places
        self.stride = CACHE_LINE + (4 * places + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
        self._map = mmap.mmap(descriptor, (SERVER_CELLS + LISTENER_CELLS) * self.stride + CACHE_LINE, mmap.MAP_SHARED)

    @classmethod
    def create(cls, workers: int) -> Board:
        places = max(LEAST_PLACES, workers)
        descriptor = os.memfd_create(MEMORY_NAME, os.MFD_CLOEXEC)
        stride = CACHE_LINE + (4 * places + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
        os.ftruncate(descriptor, (SERVER_CELLS + LISTENER_CELLS) * stride + CACHE_LINE)
        return cls(descriptor, places)

    def address(self) -> int:
        """Where the board begins in this process; valid for as long as it is open."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._map, 0))

    # --- servers -----------------------------------------------------------------------------------------------

    def health(self, cell: int) -> tuple[Health, Reason]:
        state, reason = _HEALTH.unpack_from(self._map, self._server(cell))
        return Health(state), Reason(reason)

    def set_health(self, cell: int, health: Health, reason: Reason = Reason.NONE) -> None:
        """Seen by every worker at its next choice of a server."""
        _HEALTH.pack_into(self._map, self._server(cell), health, reason)

    def restore_health(self, cell: int, health: int, reason: int) -> None:
        """What another board had; nothing where this one has no word for it."""
        with suppress(ValueError):
            self.set_health(cell, Health(health), Reason(reason))

    def failures(self, cell: int) -> int:
        """Attempts of workers to connect that failed since the last one that did not."""
        (count,) = _FAILURES.unpack_from(self._map, self._server(cell) + _FAILURES_AT)
        return int(count)

    def server_connections(self, cell: int) -> int:
        return self._sum(self._server(cell))

    def clear_server(self, cell: int) -> None:
        """For its next tenant.  Nobody may be using it."""
        self._clear(self._server(cell))

    # --- listeners ---------------------------------------------------------------------------------------------

    def listener_connections(self, cell: int) -> int:
        return self._sum(self._listener(cell))

    def clear_listener(self, cell: int) -> None:
        self._clear(self._listener(cell))

    # --- workers -----------------------------------------------------------------------------------------------

    def places_taken(self) -> int:
        """Those of the workers there are, or were."""
        (count,) = _TAKEN.unpack_from(self._map, self._listener(LISTENER_CELLS))
        return int(count)

    def clear_place(self, place: int) -> None:
        """What a dead worker held is gone with it.  To be called before its heir starts."""
        for begin, cells in ((self._server(0), SERVER_CELLS), (self._listener(0), LISTENER_CELLS)):
            for at in self._in_memory(begin, begin + cells * self.stride):
                _COUNT.pack_into(self._map, at + CACHE_LINE + 4 * place, 0)

    def _in_memory(self, begin: int, end: int) -> Iterator[int]:
        """The cells from `begin` to `end` that were ever written to: most of the board is a hole, and stays one."""
        while begin < end:
            try:
                data = os.lseek(self.descriptor, begin, os.SEEK_DATA)
            except OSError:
                return  # nothing but hole up to the end
            begin = max(begin, data // self.stride * self.stride)
            hole = os.lseek(self.descriptor, data, os.SEEK_HOLE)
            yield from range(begin, min(hole, end), self.stride)
            begin += -(-(hole - begin) // self.stride) * self.stride

    def close(self) -> None:
        """Unmap.  Raises BufferError while a core still holds an address."""
        self._map.close()
        os.close(self.descriptor)

    def _server(self, cell: int) -> int:
        return cell * self.stride

    def _listener(self, cell: int) -> int:
        return (SERVER_CELLS + cell) * self.stride

    def _sum(self, at: int) -> int:
        return sum(struct.unpack_from(f"={self.places}i", self._map, at + CACHE_LINE))

    def _clear(self, at: int) -> None:
        self._map[at : at + self.stride] = bytes(self.stride)
