# Intrusive first-in-first-out queues of connections: constant time in, out and out of the middle.
#
# A connection waits in at most one queue; closing it takes it out, so a queue never holds a dead one.

from .defs cimport QUEUE_NONE, Conn, Queue, QueueName
from .sys cimport CORE_ASSERT

cdef inline void queue_init(Queue* queue) noexcept nogil:
    queue.first = NULL
    queue.last = &queue.first
    queue.length = 0

cdef inline void queue_push(Queue* queue, Conn* c, QueueName name) noexcept nogil:
    """Append unless it already waits somewhere."""
    if c.queue != QUEUE_NONE:
        return
    c.queue = name
    c.queue_next = NULL
    c.queue_link = queue.last
    queue.last[0] = c
    queue.last = &c.queue_next
    queue.length += 1

cdef inline void queue_remove(Queue* queue, Conn* c) noexcept nogil:
    CORE_ASSERT(c.queue != QUEUE_NONE)
    c.queue_link[0] = c.queue_next
    if c.queue_next != NULL:
        c.queue_next.queue_link = c.queue_link
    else:
        queue.last = c.queue_link
    c.queue = QUEUE_NONE
    c.queue_next = NULL
    c.queue_link = NULL
    queue.length -= 1

cdef inline Conn* queue_pop(Queue* queue) noexcept nogil:
    cdef Conn* c = queue.first
    if c != NULL:
        queue_remove(queue, c)
    return c
