# The lines of the access log on their way from the event loop to the thread that writes them: one producer, one
# consumer, no lock.
#
# A line is made in place.  One that reaches over the end is made in the slack behind it, and what stands there is
# then copied to the beginning; the slack itself is never read.  A line is put whole or not at all, so the consumer
# always finds whole lines.  Positions only grow; those in the ring are taken by the mask.

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from "sys.h" nogil:
    uint64_t atomic_take64(const uint64_t* at) noexcept
    void atomic_give64(uint64_t* at, uint64_t value) noexcept

cdef extern from "<string.h>" nogil:
    void* memrchr(const void* data, int byte, size_t length)

cdef enum:
    LOG_LINE_BYTES = 4000      # the longest line: with PIPE_BUF (4096) or less, writes to a pipe never mix

cdef struct LogRing:
    char* data                 # owned
    uint64_t size              # a power of two, at least twice the longest line
    uint64_t head              # the producer's: where the next line begins
    uint64_t[7] apart          # so that the two sides do not share a cache line
    uint64_t tail              # the consumer's: where the next line is taken

cdef inline bint logring_init(LogRing* ring, uint64_t size) noexcept nogil:
    """False: memory is out.  The system gives memory for what is used of it."""
    ring.data = <char*> malloc(size + LOG_LINE_BYTES)
    ring.size = size
    ring.head = ring.tail = 0
    return ring.data != NULL

cdef inline void logring_clear(LogRing* ring) noexcept nogil:
    free(ring.data)
    ring.data = NULL

cdef inline char* logring_room(LogRing* ring) noexcept nogil:
    """Where the next line is made, of LOG_LINE_BYTES at most; NULL: it is full."""
    if ring.head - atomic_take64(&ring.tail) > ring.size - LOG_LINE_BYTES:
        return NULL
    return ring.data + (ring.head & (ring.size - 1))

cdef inline void logring_put(LogRing* ring, uint64_t length) noexcept nogil:
    """The line made there is whole, and so long."""
    cdef uint64_t end = (ring.head & (ring.size - 1)) + length
    if end > ring.size:
        memcpy(ring.data, ring.data + ring.size, end - ring.size)
    atomic_give64(&ring.head, ring.head + length)

cdef inline uint64_t logring_held(const LogRing* ring) noexcept nogil:
    """How many bytes are to be taken; for either side."""
    return atomic_take64(&ring.head) - atomic_take64(&ring.tail)

cdef inline uint64_t logring_take(LogRing* ring, char* out, uint64_t room) noexcept nogil:
    """As many whole lines as `room` bytes hold, which are those of one line at least; how many bytes that is."""
    cdef uint64_t length = min(atomic_take64(&ring.head) - ring.tail, room)
    cdef uint64_t at = ring.tail & (ring.size - 1)
    cdef uint64_t first = min(length, ring.size - at)
    cdef char* last
    if length == 0:
        return 0
    memcpy(out, ring.data + at, first)
    memcpy(out + first, ring.data, length - first)
    last = <char*> memrchr(out, c"\n", length)
    length = 0 if last == NULL else <uint64_t> (last - out) + 1
    atomic_give64(&ring.tail, ring.tail + length)
    return length
