# Pending connections: those whose PROXY header or handshake is not complete.  Each is in one of three queues:
#
#   awaited   its next step is the client's; by when that began, so the first has kept us waiting longest
#   hellos    the client has spoken and nothing was done for it yet: what comes next is the costly step
#   begun     work was put into it already and little is left to do
#
# hellos and begun take turns, so that work put in is not wasted by what comes after it, and a client that sends a
# byte at a time cannot keep new ones out.  Among hellos the first comes first, until it has waited LATE_MS: a worker
# that is so far behind serves the last, who certainly still waits, and the others when it can.

from libc.stdint cimport uint32_t

from .defs cimport (QUEUE_AWAITED, QUEUE_BEGUN, QUEUE_HELLO, QUEUE_NONE, Conn, Core, Pending)
from .queue cimport queue_init, queue_pop, queue_pop_last, queue_push, queue_remove

cdef enum:
    LATE_MS = 250

cdef inline void pending_init(Pending* pending, uint32_t most) noexcept nogil:
    queue_init(&pending.awaited)
    queue_init(&pending.hellos)
    queue_init(&pending.begun)
    pending.most = most

cdef inline uint32_t pending_queued(const Pending* pending) noexcept nogil:
    """How many wait for us."""
    return pending.hellos.length + pending.begun.length

cdef inline uint32_t pending_count(const Pending* pending) noexcept nogil:
    return pending.awaited.length + pending_queued(pending)

cdef inline void pending_leave(Core* k, Conn* c) noexcept nogil:
    """It is not pending any more; harmless when it never was."""
    if c.queue == QUEUE_AWAITED:
        queue_remove(&k.pending.awaited, c)
    elif c.queue == QUEUE_HELLO:
        queue_remove(&k.pending.hellos, c)
    elif c.queue == QUEUE_BEGUN:
        queue_remove(&k.pending.begun, c)

cdef inline void pending_await(Core* k, Conn* c) noexcept nogil:
    """The next step is the client's."""
    pending_leave(k, c)
    c.active_ms = k.now_ms
    queue_push(&k.pending.awaited, c, QUEUE_AWAITED)

cdef inline void pending_work(Core* k, Conn* c) noexcept nogil:
    """The next step is ours."""
    if c.queue != QUEUE_AWAITED:
        return
    pending_leave(k, c)
    c.active_ms = k.now_ms
    if c.client.ssl == NULL:
        queue_push(&k.pending.hellos, c, QUEUE_HELLO)
    else:
        queue_push(&k.pending.begun, c, QUEUE_BEGUN)

cdef inline Conn* pending_pop(Core* k) noexcept nogil:
    """Whose step is done next; NULL when nobody waits for us."""
    cdef Pending* pending = &k.pending
    pending.begun_next = not pending.begun_next
    if pending.begun.length and (pending.begun_next or pending.hellos.length == 0):
        return queue_pop(&pending.begun)
    if pending.hellos.length and k.now_ms - pending.hellos.first.active_ms > <unsigned int> LATE_MS:
        return queue_pop_last(&pending.hellos)
    return queue_pop(&pending.hellos)
