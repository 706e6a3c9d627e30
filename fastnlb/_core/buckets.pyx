# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Which server each of 65,536 buckets of clients belongs to: weighted rendezvous hashing (Thaler, Ravishankar 1998).
#
# For every bucket each server draws a number u from its own identity and the bucket's; the least -ln(u) / weight has
# it.  A server that goes takes its own buckets with it and no others move; one that comes wins its share from all;
# the order of the servers means nothing.  Built beside the event loop, by the worker's builder thread.

from libc.math cimport log
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from .buckets cimport BUCKETS
from .mix cimport mix64, mix_in

cdef struct Rival:
    uint64_t identity
    double weight


def bucket_table(list servers):
    """servers: (identity, weight) each, the identity as bytes and the weight 1 or more; at least one.

    Returns BUCKETS unsigned 32-bit indexes into the list, as bytes.  Raises ValueError, MemoryError.
    """
    if not servers or min([weight for _, weight in servers]) < 1:
        raise ValueError("buckets need servers with weights")
    table = bytearray(4 * <int> BUCKETS)
    cdef unsigned char[::1] view = table
    cdef uint32_t* owners = <uint32_t*> &view[0]
    cdef uint32_t count = <uint32_t> len(servers), i
    cdef Rival* rivals = <Rival*> calloc(count, sizeof(Rival))
    if rivals == NULL:
        raise MemoryError()
    for i in range(count):
        rivals[i].identity = _identity(servers[i][0])
        rivals[i].weight = servers[i][1]
    with nogil:
        _fill(owners, rivals, count)
    free(rivals)
    return bytes(table)


cdef uint64_t _identity(bytes text) noexcept:
    cdef uint64_t sum = <uint64_t> len(text), word
    cdef const char* at = text
    cdef Py_ssize_t i
    for i in range(0, len(text), 8):
        word = 0
        memcpy(&word, at + i, min(<Py_ssize_t> 8, len(text) - i))
        sum = mix_in(sum, word)
    return sum


cdef void _fill(uint32_t* owners, const Rival* rivals, uint32_t count) noexcept nogil:
    cdef uint32_t bucket
    for bucket in range(<uint32_t> BUCKETS):
        owners[bucket] = _winner(mix64(bucket), rivals, count)


cdef uint32_t _winner(uint64_t bucket, const Rival* rivals, uint32_t count) noexcept nogil:
    cdef uint32_t winner = 0, i
    cdef double best = -1, left
    for i in range(count):
        # u is in (0, 1); `left` is 1 - u.  -ln(u) is never less than that, which spares most of the logarithms.
        left = (<double> (mix64(bucket ^ rivals[i].identity) >> 11) + 0.5) / 9007199254740992.0
        if best < 0 or left < best * rivals[i].weight:
            left = -log(1 - left) / rivals[i].weight
            if best < 0 or left < best:
                best = left
                winner = i
    return winner
