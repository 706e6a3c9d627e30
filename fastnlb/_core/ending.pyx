# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See ending.pxd for the contract.

from .defs cimport (END_LINGER, END_RESET, FAULT_MEMORY, FAULT_TLS, FLOW_BROKEN, STEP_WANT_WRITE, Conn, Core, Flow,
                    Half)
from .half cimport half_close, half_discard, half_has_unsent, half_push_last, half_reset
from .relay cimport flow_holds


cdef void half_lose(Core* k, Half* lost, Half* other) noexcept nogil:
    """Reading one half has failed: what becomes of it, and of the other."""
    if lost.fault == FAULT_TLS:
        lost.ending = END_LINGER
    elif lost.fault == FAULT_MEMORY:
        lost.ending = END_RESET
    else:
        half_close(k, lost)
    other.ending = END_RESET
    half_push_last(other)


cdef bint conn_owes(Conn* c) noexcept nogil:
    """Whether bytes are still on their way to either peer."""
    return (flow_holds(&c.up) or flow_holds(&c.down) or c.client.unflushed
            or half_has_unsent(&c.client) or half_has_unsent(&c.server_half))


cdef bint conn_discard_unwanted(Core* k, Conn* c) noexcept nogil:
    """A half that still sends what nobody takes may not read before it is rid of it.  True: there may be more."""
    cdef bint more = False
    if c.up.state == FLOW_BROKEN and c.client.readable:
        more = not half_discard(k, &c.client) and c.client.readable
    if c.down.state == FLOW_BROKEN and c.server_half.readable:
        more = (not half_discard(k, &c.server_half) and c.server_half.readable) or more
    return more


cdef void half_settle(Core* k, Half* half, Flow* towards) noexcept nogil:
    """Close the half as its ending says, once nothing more is owed to it."""
    if half.fd < 0 or flow_holds(towards):
        return
    if half.ending == END_LINGER:
        if not half.shut and half.xport.shut(k, half) == STEP_WANT_WRITE:
            return
        if half_discard(k, half):
            half_close(k, half)
    elif half.ending == END_RESET:
        # A peer that is stuck sending would never read what it is still owed.
        half_discard(k, half)
        if not half_has_unsent(half):
            half_reset(k, half)
    else:
        half_close(k, half)
