# Starting the TCP connection to the server that pick.pyx chooses, and to another one when it fails.
#
# A server without a port is connected to on the port that the client came to.
# Each server is tried at most once for a connection; nothing has been sent to any of them by then.  Failures in a row
# are counted on the server's cell, for the health checks to see.

from .defs cimport Conn, Core, Step

cdef Step dial_next(Core* k, Conn* c) noexcept nogil
cdef bint dial_succeeded(Core* k, Conn* c) noexcept nogil
cdef void dial_failed(Core* k, Conn* c, int number) noexcept nogil
