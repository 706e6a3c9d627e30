# Whether a listener takes one more connection: max_connections and cps, over all workers.
#
# Both are asked right after accept, before the connection costs a slot or a TLS object.
#
# max_connections: a worker counts itself in first and then looks at the sum, so the limit is never passed; of two
# workers that reach for the last place at the same instant both may be refused.
#
# cps is a leaky bucket kept as one instant (GCRA): `due_ns` of the listener's cell is when the next connection would
# be due if they came evenly.  One that comes up to BURST_NS before its time is taken and moves the instant on; a
# single compare-and-swap, so every connection is taken by exactly one worker and none is lost between them.

from .defs cimport Core, Listener

cdef bint limit_enter(Core* k, Listener* listener) noexcept nogil
cdef void limit_leave(Core* k, Listener* listener) noexcept nogil
