# Taking connections from the listening sockets, and not taking them when descriptors run out.
#
# Every connection needs two descriptors in the end, so accepting pauses while twice the open connections would
# pass the limit: a connection that was accepted can always be connected on.  What waits meanwhile stays in the
# kernel's queue.

from .defs cimport Acceptor, Core

cdef void accept_some(Core* k, Acceptor* acceptor) noexcept nogil
cdef void accept_all(Core* k, Acceptor* acceptor) noexcept nogil
cdef void accept_resume(Core* k) noexcept nogil
cdef bint acceptor_start(Core* k, Acceptor* acceptor) noexcept nogil
cdef void acceptor_stop(Core* k, Acceptor* acceptor) noexcept nogil
