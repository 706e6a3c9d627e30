# Taking connections from the listening sockets, and not taking them when descriptors run out.
#
# Every connection needs two descriptors in the end, so accepting pauses while twice the open connections would
# pass the limit: a connection that was accepted can always be connected on.  What waits meanwhile stays in the
# kernel's queue.
#
# A socket that no configuration has any more is *parting*: for PARTING_MS it goes on accepting for the table it had,
# which it holds a reference to, as there are clients whose handshake with the kernel is still under way.  The master
# sees to it that no new ones come.  Then what is queued is served and the socket closed.

from libc.stdint cimport uint64_t

from .defs cimport Acceptor, Core, Table

cdef enum:
    PARTING_MS = 1000

cdef void accept_some(Core* k, Acceptor* acceptor) noexcept nogil
cdef void accept_all(Core* k, Acceptor* acceptor) noexcept nogil
cdef void accept_resume(Core* k) noexcept nogil
cdef bint acceptor_start(Core* k, Acceptor* acceptor) noexcept nogil
cdef void acceptor_stop(Core* k, Acceptor* acceptor) noexcept nogil
cdef void acceptor_part(Core* k, Acceptor* acceptor, Table* table, uint64_t until_ms) noexcept nogil
cdef void accept_parting(Core* k) noexcept nogil
cdef void accept_part_by(Core* k, uint64_t deadline_ms) noexcept nogil
