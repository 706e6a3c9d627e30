# The life of a connection: the only file that writes Conn.state.
#
# Events only set what a half may do (readable, writable, exhaust) and then call conn_advance, which does all that
# can be done now.  Closing is in two steps: _finish closes descriptors and leaves the slot on the reap list;
# conn_reap, after the batch of events, frees the TLS object and the slot, so no event of the batch can meet a
# freed connection.

from libc.stdint cimport uint32_t

from .defs cimport Conn, Core, Table

cdef void conn_open(Core* k, Table* table, uint32_t listener, int fd) noexcept nogil
cdef void conn_event(Core* k, Conn* c, bint server_side, uint32_t events) noexcept nogil
cdef void conn_advance(Core* k, Conn* c) noexcept nogil
cdef void conn_timeout(Core* k, Conn* c) noexcept nogil
cdef void conn_end(Core* k, Conn* c, int fault) noexcept nogil
cdef void conn_abort(Core* k, Conn* c, int fault) noexcept nogil
cdef void conn_reap(Core* k) noexcept nogil
