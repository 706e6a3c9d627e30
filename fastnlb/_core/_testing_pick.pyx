# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# A Python handle on the choice of a server, for tests and benchmarks only.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from .board cimport board_count, board_take_place
from .counters cimport N_NUMBERS, N_PICKS_FAIL_OPEN
from .defs cimport Conn, Core
from .endpoint cimport Endpoint, endpoint_take
from .mix cimport mix64
from .pick cimport pick_endpoint_key, pick_server
from .slab cimport slab_clear, slab_give, slab_take
from .sys cimport sockaddr_storage
from .table cimport table_build, table_free


def address_key(list addresses, bint with_port):
    """What a client is hashed to; each address as the bytes of a sockaddr."""
    cdef sockaddr_storage address
    cdef Endpoint end
    cdef uint64_t key = 0
    for raw in addresses:
        memset(&address, 0, sizeof(address))
        memcpy(&address, <const char*> raw, len(raw))
        endpoint_take(&end, &address)
        key = pick_endpoint_key(key, &end, with_port)
    return key


cdef class PickProbe:
    """A group (fields as table_build takes them) whose cells are on the board at (address, places, own place)."""

    cdef Core* k

    def __cinit__(self, tuple group, tuple board):
        self.k = <Core*> calloc(1, sizeof(Core))
        self.k.count = <uint64_t*> calloc(<int> N_NUMBERS, sizeof(uint64_t))
        address, self.k.board.places, self.k.board.place = board
        self.k.board.base = <char*> <size_t> address
        board_take_place(&self.k.board)
        self.k.table = table_build(self.k, 1, [(0, None, 1000, 1000, 1000, -1, 0, 0, b"", None)], [group])

    def pick(self, uint64_t key=1, int most=1):
        """The servers that one connection tries if all of them fail, by number."""
        cdef Conn* c = slab_take(&self.k.slab)
        c.table = self.k.table
        c.listener = &self.k.table.listeners[0]
        c.key = key
        found = []
        while len(found) < most and pick_server(self.k, c):
            found.append(c.server)
        slab_give(&self.k.slab, c)
        return found

    def pick_many(self, uint32_t count):
        """The first choices of so many clients, each with another key; to measure what they take."""
        cdef Conn* c = slab_take(&self.k.slab)
        cdef uint32_t i
        c.table = self.k.table
        c.listener = &self.k.table.listeners[0]
        for i in range(count):
            c.key = mix64(i) or 1
            c.attempts = 0
            pick_server(self.k, c)
        slab_give(&self.k.slab, c)

    def count(self, uint32_t server, int connections):
        """Connections that this worker has more, or less."""
        board_count(&self.k.board, self.k.table.groups[0].servers[server].cell.connections, connections)

    @property
    def fail_open(self):
        return self.k.count[<int> N_PICKS_FAIL_OPEN]

    def __dealloc__(self):
        table_free(self.k.table)
        slab_clear(&self.k.slab)
        free(self.k.count)
        free(self.k)
