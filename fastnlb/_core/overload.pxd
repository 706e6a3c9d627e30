# What a storm of new clients may take from those that are established, and from each other.
#
# Time: overload_serve does the steps of handshakes for about BUDGET_NS a turn and one step at least, then relays are
# served again.  Where relays always have work, handshakes get a quarter of the time, or they would starve.
#
# Places: at the limit of descriptors or of pending connections, overload_evict ends those that were waited for, or
# wait, longer than PATIENCE_MS; oldest first, the client's turn before ours.  A client that is younger than that has
# had no chance yet, so then accepting pauses and the new ones wait in the kernel's queue.  None is ever reset because
# it is new.

from libc.stdint cimport uint32_t

from .defs cimport Core

cdef void overload_serve(Core* k) noexcept nogil
cdef uint32_t overload_evict(Core* k, uint32_t most) noexcept nogil
cdef bint overload_full(Core* k) noexcept nogil
