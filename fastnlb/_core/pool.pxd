# Byte buffers lent to connections only while bytes are in flight: pools of one size each.
#
# Last in, first out: the buffer used a moment ago is still in the processor's cache.  A pool keeps at most `keep`
# idle buffers, so a burst does not stay resident, and lends at most `most` at one time.  `made` and `lent` are the
# whole accounting: with no connection open, lent is 0 and made <= keep.
#
# Large buffers are for flows that have filled an ordinary one: fewer and larger writes wake the reader less often.
# They are few, so that slow readers hold no more than a fixed amount in them; who gets none takes an ordinary one.

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

cdef enum:
    BUFFER_BYTES = 131072  # eight full TLS records of plaintext
    BUFFERS_KEPT = 32
    LARGE_BYTES = 524288
    LARGE_MOST = 32        # 16 MiB a worker
    LARGE_KEPT = 4

cdef struct Pool

cdef struct Buffer:
    Buffer* next           # free list link; meaningless while lent
    Pool* home             # borrowed: where it goes back to
    uint32_t head          # first byte not yet passed on
    uint32_t tail          # one past the last byte
    uint32_t size          # bytes that `data` has room for
    char* data             # right behind this

cdef struct Pool:
    uint32_t size          # of each buffer
    uint32_t most          # lent at one time
    uint32_t keep          # spare ones
    Buffer* spare          # owned
    uint32_t spare_count
    uint32_t made          # allocated: spare + lent
    uint32_t lent

cdef inline void pool_make(Pool* pool, uint32_t size, uint32_t most, uint32_t keep) noexcept nogil:
    """Of a Pool that is all zero."""
    pool.size = size
    pool.most = most
    pool.keep = keep

cdef inline void pools_make(Pool* ordinary, Pool* large) noexcept nogil:
    pool_make(ordinary, BUFFER_BYTES, 0xffffffff, BUFFERS_KEPT)
    pool_make(large, LARGE_BYTES, LARGE_MOST, LARGE_KEPT)

cdef inline Buffer* pool_get(Pool* pool) noexcept nogil:
    """Lend an empty buffer; NULL when as many as may be are lent, or memory is out."""
    cdef Buffer* buffer = pool.spare
    if buffer != NULL:
        pool.spare = buffer.next
        pool.spare_count -= 1
    else:
        if pool.lent >= pool.most:
            return NULL
        buffer = <Buffer*> malloc(sizeof(Buffer) + pool.size)
        if buffer == NULL:
            return NULL
        buffer.home = pool
        buffer.size = pool.size
        buffer.data = <char*> (buffer + 1)
        pool.made += 1
    buffer.head = 0
    buffer.tail = 0
    pool.lent += 1
    return buffer

cdef inline void pool_put(Buffer* buffer) noexcept nogil:
    cdef Pool* pool = buffer.home
    pool.lent -= 1
    if pool.spare_count >= pool.keep:
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
