# Byte buffers lent to connections only while bytes are in flight.
#
# Last in, first out: the buffer used a moment ago is still in the processor's cache.  At most POOL_SPARE idle
# buffers are kept, so a burst does not stay resident.  `made` and `lent` are the whole accounting: with no
# connection open, lent is 0 and made <= POOL_SPARE.

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

cdef enum:
    BUFFER_BYTES = 65536   # four full TLS records of plaintext
    POOL_SPARE = 64

cdef struct Buffer:
    Buffer* next           # free list link; meaningless while lent
    uint32_t head          # first byte not yet passed on
    uint32_t tail          # one past the last byte
    char data[BUFFER_BYTES]

cdef struct Pool:
    Buffer* spare          # owned
    uint32_t spare_count
    uint32_t made          # allocated: spare + lent
    uint32_t lent

cdef inline Buffer* pool_get(Pool* pool) noexcept nogil:
    """Lend an empty buffer; NULL when memory is out."""
    cdef Buffer* buffer = pool.spare
    if buffer != NULL:
        pool.spare = buffer.next
        pool.spare_count -= 1
    else:
        buffer = <Buffer*> malloc(sizeof(Buffer))
        if buffer == NULL:
            return NULL
        pool.made += 1
    buffer.head = 0
    buffer.tail = 0
    pool.lent += 1
    return buffer

cdef inline void pool_put(Pool* pool, Buffer* buffer) noexcept nogil:
    pool.lent -= 1
    if pool.spare_count >= POOL_SPARE:
        pool.made -= 1
        free(buffer)
        return
    buffer.next = pool.spare
    pool.spare = buffer
    pool.spare_count += 1

cdef inline void pool_clear(Pool* pool) noexcept nogil:
    """Free the spare buffers; lent ones stay with their borrowers."""
    cdef Buffer* buffer
    while pool.spare != NULL:
        buffer = pool.spare
        pool.spare = buffer.next
        pool.made -= 1
        free(buffer)
    pool.spare_count = 0
