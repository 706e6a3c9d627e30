# Bulk on a plain connection goes through a pipe of the kernel and is never copied into our memory.
#
# Which way a flow goes is decided anew each time it is empty, by what its reads have given: after a run of full
# buffers it splices, until a read gives little; then it copies, which costs one system call less a message.  A flow
# that finds no pipe copies.  At the end of a stream, at an error and beside urgent data (Half.exhaust) it copies too:
# only recv tells these from each other, and only recv passes the urgent mark.
#
# A pipe is filled only when it is empty.  So EAGAIN means that the socket is, and what a flow holds is one pipe or
# one buffer.

from libc.stdint cimport uint64_t

from .defs cimport Core, Flow, Half, Step
from .pool cimport BUFFER_BYTES

cdef inline void budget_spend(uint64_t* budget, size_t moved) noexcept nogil:
    """A read costs a whole buffer's worth however little it gave: a stream of tiny records is work too."""
    cdef uint64_t cost = max(<uint64_t> moved, <uint64_t> BUFFER_BYTES)
    budget[0] = budget[0] - cost if budget[0] > cost else 0

cdef bint splice_begin(Core* k, Flow* flow, Half* source, Half* sink) noexcept nogil
cdef Step splice_fill(Core* k, Flow* flow, Half* source, uint64_t* budget) noexcept nogil
cdef Step splice_drain(Core* k, Flow* flow, Half* sink) noexcept nogil
cdef void splice_weigh(Flow* flow, size_t read) noexcept nogil
