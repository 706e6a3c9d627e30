# One direction of a connection: bytes from a source half to a destination half.
#
# Back-pressure: at most one buffer or one pipe is held; while it is not empty the source is not read.  The same code
# serves both directions and never asks what kind of transport it moves bytes between.
#
# flow_pump returns
#   MOVED       the budget is spent and there may be more: call again in the next turn
#   WANT_READ   nothing more from the source for now
#   WANT_WRITE  the destination (or a source that must write first) is full
#   EOF         finished: everything is passed on, and the end too, or the destination takes no more (FLOW_BROKEN)
#   FAULT       the source failed; source.fault says why.  What it sent before may still be held.

from libc.stdint cimport uint64_t

from .defs cimport FLOW_BROKEN, FLOW_DONE, Core, Flow, Half, Step

cdef Step flow_pump(Core* k, Flow* flow, Half* source, Half* sink, uint64_t* budget) noexcept nogil
cdef Step flow_drain(Core* k, Flow* flow, Half* sink) noexcept nogil
cdef inline bint flow_holds(Flow* flow) noexcept nogil:
    return flow.held != NULL or flow.pipe != NULL

cdef inline bint flow_over(const Flow* flow) noexcept nogil:
    return flow.state == FLOW_DONE or flow.state == FLOW_BROKEN

cdef void flow_drop(Core* k, Flow* flow) noexcept nogil
