# Intrusive queues of connections: constant time in, out at either end and out of the middle.
#
# A connection waits in at most one queue; closing it takes it out, so a queue never holds a dead one.

from .defs cimport QUEUE_NONE, Conn, Queue, QueueName
from .sys cimport CORE_ASSERT

cdef inline void queue_init(Queue* queue) noexcept nogil:
    queue.first = NULL
    queue.last = NULL
    queue.length = 0

cdef inline void queue_push(Queue* queue, Conn* c, QueueName name) noexcept nogil:
    """Append unless it already waits somewhere."""
    if c.queue != QUEUE_NONE:
        return
    c.queue = name
    c.queue_next = NULL
    c.queue_previous = queue.last
    if queue.last != NULL:
        queue.last.queue_next = c
    else:
        queue.first = c
    queue.last = c
    queue.length += 1

cdef inline void queue_remove(Queue* queue, Conn* c) noexcept nogil:
    CORE_ASSERT(c.queue != QUEUE_NONE)
    if c.queue_previous != NULL:
        c.queue_previous.queue_next = c.queue_next
    else:
        queue.first = c.queue_next
    if c.queue_next != NULL:
        c.queue_next.queue_previous = c.queue_previous
    else:
        queue.last = c.queue_previous
    c.queue = QUEUE_NONE
    c.queue_next = NULL
    c.queue_previous = NULL
    queue.length -= 1

cdef inline Conn* queue_pop(Queue* queue) noexcept nogil:
    """The one that has waited longest; NULL when none waits."""
    cdef Conn* c = queue.first
    if c != NULL:
        queue_remove(queue, c)
    return c

cdef inline Conn* queue_pop_last(Queue* queue) noexcept nogil:
    """The one that came last."""
    cdef Conn* c = queue.last
    if c != NULL:
        queue_remove(queue, c)
    return c
