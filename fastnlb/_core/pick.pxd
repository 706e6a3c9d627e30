# Choosing a server of the group: which one is next, for a new connection and after one that failed.
#
# A server may be used unless it is known to be unhealthy; when none may, one is used all the same (fail open).  Those
# with weight 0 stand behind the others in the table and are never chosen.  A first choice is O(1), with least
# connections O(64 times the workers); only passing over unusable servers takes longer, and that is bounded.  No
# allocation, no lock.  bench/pick_cost.py measures it.

from libc.stdint cimport uint64_t

from .board cimport HEALTH_UNHEALTHY, atomic_load32
from .defs cimport Conn, Core, Server
from .endpoint cimport Endpoint

cdef bint pick_server(Core* k, Conn* c) noexcept nogil
cdef uint64_t pick_endpoint_key(uint64_t sum, const Endpoint* end, bint with_port) noexcept nogil

cdef inline bint server_usable(const Server* server) noexcept nogil:
    """One without a cell is not checked by anyone."""
    return server.cell == NULL or atomic_load32(&server.cell.health) != HEALTH_UNHEALTHY
