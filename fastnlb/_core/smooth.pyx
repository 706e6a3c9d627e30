# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# The round of smooth weighted round robin, made beforehand: as long as the sum of the weights, and each place asks
# every server, so a thousand servers are fifty million steps.  Beside the event loop, by the worker's builder thread.

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free


def smooth_round(list weights):
    """The indexes of the servers in the order to pick them; weights are 1 or more.  Raises MemoryError."""
    cdef uint32_t count = <uint32_t> len(weights), length = <uint32_t> sum(weights), i
    cdef int64_t* weight = <int64_t*> calloc(count or 1, sizeof(int64_t))
    cdef int64_t* current = <int64_t*> calloc(count or 1, sizeof(int64_t))
    cdef uint32_t* order = <uint32_t*> calloc(length or 1, sizeof(uint32_t))
    try:
        if weight == NULL or current == NULL or order == NULL:
            raise MemoryError()
        for i in range(count):
            weight[i] = weights[i]
        with nogil:
            _fill(order, length, weight, current, count)
        return [order[i] for i in range(length)]
    finally:
        free(weight)
        free(current)
        free(order)


cdef void _fill(uint32_t* order, uint32_t length, const int64_t* weight, int64_t* current,
                uint32_t count) noexcept nogil:
    """Each pick raises every server by its weight, takes the highest and lowers it by the sum."""
    cdef uint32_t place, best, i
    for place in range(length):
        best = 0
        for i in range(count):
            current[i] += weight[i]
            if current[i] > current[best]:
                best = i
        current[best] -= length
        order[place] = best
