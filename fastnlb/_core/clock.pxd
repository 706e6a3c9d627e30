# The precise clock, for what is shorter than a tick of the loop's own (Core.now_ms, which is read once a turn).

from libc.stdint cimport uint64_t

from .sys cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef inline uint64_t clock_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t> now.tv_sec * <uint64_t> 1000000000 + <uint64_t> now.tv_nsec
