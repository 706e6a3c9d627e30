# Choosing a server of the group and starting the TCP connection to it.
#
# The choice is one table look-up: the weights are already in Group.sequence.  After a failure the servers that
# follow are tried, each at most once for a connection; nothing has been sent to any of them by then.

from .defs cimport Conn, Core, Step

cdef Step dial_next(Core* k, Conn* c) noexcept nogil
cdef bint dial_succeeded(Core* k, Conn* c) noexcept nogil
