# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See tally.pxd for the contract.

from libc.stdlib cimport free, malloc

from fastnlb._core.clock cimport clock_ns

from bench._load.outcome import Outcome


cdef int tally_make(Tally* tally) except -1:
    """Raises MemoryError; tally_free gives it back, also one of zeros."""
    tally.latencies = <uint64_t*> malloc(SAMPLES * sizeof(uint64_t))
    if tally.latencies == NULL:
        raise MemoryError()
    tally_reset(tally)
    return 0


cdef void tally_reset(Tally* tally) noexcept nogil:
    """Nothing counted, and it begins now."""
    tally.units = tally.failed = tally.bytes = tally.seen = 0
    tally.luck = 0x9e3779b97f4a7c15
    tally.began = tally.ended = clock_ns()


cdef void tally_free(Tally* tally) noexcept nogil:
    free(tally.latencies)
    tally.latencies = NULL


cdef object tally_outcome(const Tally* tally):
    """As an Outcome; the end is `tally.ended`."""
    cdef uint64_t i
    cdef uint64_t kept = min(tally.seen, <uint64_t> SAMPLES)
    latencies = []
    for i in range(kept):
        latencies.append(tally.latencies[i] / 1000.0)
    latencies.sort()
    seconds = (tally.ended - tally.began) / 1e9
    return Outcome(tally.units, tally.failed, tally.bytes, seconds, latencies)
