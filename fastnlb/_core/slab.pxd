# Connections in chunks that never move: a Conn* stays valid for as long as its slot is taken.
#
# A slot's number and generation travel through epoll, so that an event for an earlier tenant is recognised.
# take and give are constant time; lookup is two loads.  Memory grows to the high-water mark and stays.

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from .defs cimport CONN_FREE, Conn, Slab

cdef enum:
    CHUNK_SHIFT = 8
    CHUNK_CONNS = 256

cdef inline Conn* slab_at(Slab* slab, uint32_t slot) noexcept nogil:
    return &slab.chunks[slot >> CHUNK_SHIFT][slot & (CHUNK_CONNS - 1)]

cdef inline uint32_t slab_slots(Slab* slab) noexcept nogil:
    return slab.chunk_count << CHUNK_SHIFT

cdef inline bint slab_grow(Slab* slab) noexcept nogil:
    cdef Conn** chunks = <Conn**> realloc(slab.chunks, (slab.chunk_count + 1) * sizeof(Conn*))
    cdef Conn* chunk
    cdef uint32_t i
    if chunks == NULL:
        return False
    slab.chunks = chunks
    chunk = <Conn*> calloc(CHUNK_CONNS, sizeof(Conn))
    if chunk == NULL:
        return False
    chunks[slab.chunk_count] = chunk
    for i in range(<uint32_t> CHUNK_CONNS):
        # Lowest slot first: a lightly loaded worker touches few pages.
        chunk[CHUNK_CONNS - 1 - i].slot = (slab.chunk_count << CHUNK_SHIFT) + CHUNK_CONNS - 1 - i
        chunk[CHUNK_CONNS - 1 - i].reap_next = slab.free
        slab.free = &chunk[CHUNK_CONNS - 1 - i]
    slab.chunk_count += 1
    return True

cdef inline Conn* slab_take(Slab* slab) noexcept nogil:
    """A zeroed Conn with its slot and generation kept; NULL when memory is out."""
    cdef Conn* c
    cdef uint32_t slot, generation
    if slab.free == NULL and not slab_grow(slab):
        return NULL
    c = slab.free
    slab.free = c.reap_next
    slot = c.slot
    generation = c.generation
    memset(c, 0, sizeof(Conn))
    c.slot = slot
    c.generation = generation
    slab.live += 1
    return c

cdef inline void slab_give(Slab* slab, Conn* c) noexcept nogil:
    c.state = CONN_FREE
    c.generation += 1
    c.reap_next = slab.free
    slab.free = c
    slab.live -= 1

cdef inline void slab_clear(Slab* slab) noexcept nogil:
    cdef uint32_t i
    for i in range(slab.chunk_count):
        free(slab.chunks[i])
    free(slab.chunks)
    slab.chunks = NULL
    slab.chunk_count = 0
    slab.free = NULL
