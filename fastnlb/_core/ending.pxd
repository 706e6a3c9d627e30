# How the halves of a connection end: what nobody takes any more, what is still owed to whom in DRAIN, and closing
# each half as its `ending` says.
#
# Nothing here knows or writes the state of the connection: that is conn.pyx's.

from .defs cimport Conn, Core, Flow, Half

cdef void half_lose(Core* k, Half* lost, Half* other) noexcept nogil
cdef bint conn_owes(Conn* c) noexcept nogil
cdef bint conn_discard_unwanted(Core* k, Conn* c) noexcept nogil
cdef void half_settle(Core* k, Half* half, Flow* towards) noexcept nogil
