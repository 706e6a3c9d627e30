# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See overload.pxd for the contract, and pending.pxd for who is served first.

from libc.stdint cimport uint32_t, uint64_t

from .clock cimport clock_ns
from .conn cimport conn_abort, conn_advance
from .counters cimport N_HANDSHAKES_EVICTED, N_HANDSHAKES_SHED
from .defs cimport (CONN_PROXY_IN, FAULT_PROXY, FAULT_SHED, NOTICE_SHEDDING, QUEUE_AWAITED, Conn, Core, Queue)
from .pending cimport pending_count, pending_pop, pending_queued

cdef enum:
    BUDGET_NS = 500000         # of handshakes a turn: what a relay that is busy may notice
    MOST_BUDGET_NS = 10000000
    RELAYS_SHARE = 3           # relays that never rest get three times what handshakes get
    PATIENCE_MS = 500          # a lost first packet is sent again by then
    TELL_MS = 60000            # once a minute is enough to say so


# --- time ------------------------------------------------------------------------------------------------------

cdef void overload_serve(Core* k) noexcept nogil:
    """This turn's handshake work."""
    cdef uint64_t now, until
    cdef Conn* c
    if pending_queued(&k.pending) == 0:
        k.pending.served_ns = 0
        return
    now = clock_ns()
    until = now + _budget(k, now)
    while now < until:
        c = pending_pop(k)
        if c == NULL:
            break
        conn_advance(k, c)
        now = clock_ns()
    k.pending.served_ns = now if pending_queued(&k.pending) else 0


cdef uint64_t _budget(Core* k, uint64_t now) noexcept nogil:
    """More than usual when relays took long since the last turn, which then did not sleep: some were left over."""
    cdef uint64_t share
    if k.pending.served_ns == 0:
        return BUDGET_NS
    share = (now - k.pending.served_ns) // RELAYS_SHARE
    return min(max(share, <uint64_t> BUDGET_NS), <uint64_t> MOST_BUDGET_NS)


# --- places ----------------------------------------------------------------------------------------------------

cdef bint overload_full(Core* k) noexcept nogil:
    """Whether as many are pending as may be."""
    return pending_count(&k.pending) >= k.pending.most


cdef uint32_t overload_evict(Core* k, uint32_t most) noexcept nogil:
    """End at most so many that are overdue; their places are free when they have been reaped.  How many it were."""
    cdef uint32_t evicted = 0
    cdef Conn* c
    while evicted < most:
        c = _overdue(k, &k.pending.awaited)
        if c == NULL:
            c = _overdue(k, &k.pending.hellos)
        if c == NULL:
            break
        _evict(k, c)
        evicted += 1
    if evicted and k.now_ms >= k.pending.tell_ms:
        k.pending.tell_ms = k.now_ms + TELL_MS
        k.notice = NOTICE_SHEDDING
    return evicted


cdef Conn* _overdue(Core* k, Queue* queue) noexcept nogil:
    cdef Conn* c = queue.first
    return c if c != NULL and k.now_ms - c.active_ms >= <uint64_t> PATIENCE_MS else NULL


cdef void _evict(Core* k, Conn* c) noexcept nogil:
    if c.queue == QUEUE_AWAITED:
        k.count[<int> N_HANDSHAKES_EVICTED] += 1
    else:
        k.count[<int> N_HANDSHAKES_SHED] += 1
    conn_abort(k, c, FAULT_PROXY if c.state == CONN_PROXY_IN else FAULT_SHED)
