# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See splice.pxd for the contract.

from libc.stdint cimport uint32_t, uint64_t

from .counters cimport N_BYTES_SPLICED, N_PIPES_REFUSED
from .defs cimport STEP_MOVED, Core, Flow, Half, Step
from .pipes cimport pipe_get, pipe_put
from .sys cimport CORE_ASSERT

cdef enum:
    LARGE_READ = 65536
    LARGE_READS = 2            # in a row, and the flow begins to splice
    LEAST_BYTES = 16384        # a read that gives less ends it
    DESCRIPTOR_SHARE = 8       # pipes may take this part of the descriptor limit
    MOST_PIPES = 256           # whatever the limit: readers that are slow may fill that many, of PIPE_BYTES


cdef void splice_weigh(Flow* flow, size_t read) noexcept nogil:
    """After a read into a buffer."""
    if read < LARGE_READ:
        flow.streak = 0
    elif flow.streak < LARGE_READS:
        flow.streak += 1


cdef bint splice_begin(Core* k, Flow* flow, Half* source, Half* sink) noexcept nogil:
    """Whether the next bytes go through a pipe; the flow has one then."""
    if flow.streak < LARGE_READS or source.exhaust or not source.readable:
        return False
    if source.xport.draw == NULL or sink.xport.pour == NULL:
        return False
    flow.pipe = pipe_get(&k.pipes, _most_pipes(k), k.now_ms)
    if flow.pipe != NULL:
        return True
    k.count[<int> N_PIPES_REFUSED] += 1
    flow.streak = 0
    return False


cdef uint32_t _most_pipes(Core* k) noexcept nogil:
    """Connections come first: pipes get a share of the descriptors, and no more than they leave."""
    cdef uint32_t share = min(k.descriptor_limit // (2 * DESCRIPTOR_SHARE), <uint32_t> MOST_PIPES)
    cdef uint32_t pairs = k.descriptor_limit // 2
    return min(share, pairs - k.slab.live) if pairs > k.slab.live and not k.paused else 0


cdef Step splice_fill(Core* k, Flow* flow, Half* source, uint64_t* budget) noexcept nogil:
    """Take bytes from the source into the pipe.  MOVED without any: the source is to be read by copying."""
    cdef size_t moved = 0
    cdef Step step = source.xport.draw(k, source, flow.pipe, &moved)
    budget_spend(budget, moved)
    if step == STEP_MOVED and moved < LEAST_BYTES:
        flow.streak = 0
    flow.pipe.held = <uint32_t> moved
    if moved == 0:
        pipe_put(&k.pipes, flow.pipe)
        flow.pipe = NULL
    return step


cdef Step splice_drain(Core* k, Flow* flow, Half* sink) noexcept nogil:
    """Pass on what is in the pipe.  MOVED: all of it."""
    cdef size_t moved
    cdef Step step
    while flow.pipe.held:
        moved = 0
        step = sink.xport.pour(k, sink, flow.pipe, &moved)
        if step != STEP_MOVED:
            return step
        CORE_ASSERT(moved <= flow.pipe.held)
        flow.pipe.held -= <uint32_t> moved
        flow.bytes += moved
        k.count[<int> N_BYTES_SPLICED] += moved
    pipe_put(&k.pipes, flow.pipe)
    flow.pipe = NULL
    return STEP_MOVED
