# The count of a run: units, failures, bytes, and a bounded uniform sample of latencies (algorithm R).

from libc.stdint cimport uint64_t

cdef enum:
    SAMPLES = 200000

cdef struct Tally:
    uint64_t units
    uint64_t failed
    uint64_t bytes
    uint64_t began              # ns, CLOCK_MONOTONIC
    uint64_t ended
    uint64_t seen               # latencies, whether kept or not
    uint64_t luck               # of the generator; never 0
    uint64_t* latencies         # ns; SAMPLES of them, owned

cdef int tally_make(Tally* tally) except -1
cdef void tally_reset(Tally* tally) noexcept nogil
cdef void tally_free(Tally* tally) noexcept nogil
cdef object tally_outcome(const Tally* tally)


cdef inline uint64_t _tally_draw(Tally* tally) noexcept nogil:
    # xorshift64
    tally.luck ^= tally.luck << 13
    tally.luck ^= tally.luck >> 7
    tally.luck ^= tally.luck << 17
    return tally.luck


cdef inline void tally_took(Tally* tally, uint64_t ns) noexcept nogil:
    """One more unit, which took so long."""
    cdef uint64_t at = tally.seen
    tally.units += 1
    tally.seen += 1
    if at >= SAMPLES:
        at = _tally_draw(tally) % tally.seen
        if at >= SAMPLES:
            return
    tally.latencies[at] = ns
