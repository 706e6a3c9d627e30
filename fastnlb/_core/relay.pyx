# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See relay.pxd for the contract.

from .defs cimport (FAULT_MEMORY, FLOW_BROKEN, FLOW_DONE, FLOW_ENDED, FLOW_OPEN, STEP_EOF, STEP_FAULT, STEP_MOVED,
                    STEP_WANT_WRITE, Core, Flow, Half, Step)
from .pipes cimport pipe_put
from .pool cimport BUFFER_BYTES, Buffer, pool_get, pool_put
from .splice cimport budget_spend, splice_begin, splice_drain, splice_fill, splice_weigh


cdef Step flow_pump(Core* k, Flow* flow, Half* source, Half* sink, uint64_t* budget) noexcept nogil:
    cdef Step step
    while True:
        step = flow_drain(k, flow, sink)
        if step != STEP_MOVED:
            return step
        if flow.state != FLOW_OPEN:
            return STEP_EOF
        if budget[0] == 0:
            return STEP_MOVED
        if splice_begin(k, flow, source, sink):
            step = splice_fill(k, flow, source, budget)
        else:
            step = _fill(k, flow, source, sink, budget)
        if step != STEP_MOVED:
            return step


cdef Step _fill(Core* k, Flow* flow, Half* source, Half* sink, uint64_t* budget) noexcept nogil:
    """Take bytes from the source.  MOVED: something is held now, or the source has ended."""
    cdef size_t moved = 0
    cdef uint64_t room
    cdef Step step
    flow.held = _lend(k, flow, sink, budget[0])
    if flow.held == NULL:
        source.fault = FAULT_MEMORY
        return STEP_FAULT
    room = min(<uint64_t> flow.held.size, max(budget[0], <uint64_t> BUFFER_BYTES))
    step = source.xport.pull(k, source, flow.held.data, room, &moved)
    if step == STEP_MOVED:
        flow.held.tail = <unsigned int> moved
        # What comes out of TLS is at most an ordinary buffer of ciphertext: it would not fill a large one.
        flow.brims = moved >= BUFFER_BYTES and source.ssl == NULL
        splice_weigh(flow, moved)
        budget_spend(budget, moved)
        return STEP_MOVED
    flow_drop(k, flow)
    if step == STEP_EOF:
        flow.state = FLOW_ENDED
        return STEP_MOVED
    return step


cdef Buffer* _lend(Core* k, Flow* flow, const Half* sink, uint64_t budget) noexcept nogil:
    """A large one for bulk that has no pipe to hope for, if there is budget to fill it with."""
    cdef Buffer* buffer = NULL
    if flow.brims and budget > BUFFER_BYTES and sink.xport.pour == NULL:
        buffer = pool_get(&k.large)
    return buffer if buffer != NULL else pool_get(&k.pool)


cdef Step flow_drain(Core* k, Flow* flow, Half* sink) noexcept nogil:
    """Pass on what is held, and the end of the stream if the source has ended.  MOVED: nothing is left to do."""
    cdef Step step = STEP_MOVED
    if flow.state == FLOW_DONE or flow.state == FLOW_BROKEN:
        return STEP_MOVED
    if flow.pipe != NULL:
        step = splice_drain(k, flow, sink)
    elif flow.held != NULL:
        step = _push_held(k, flow, sink)
    elif sink.unflushed:
        step = sink.xport.flush(k, sink)
    if step == STEP_MOVED and flow.state == FLOW_ENDED:
        step = sink.xport.shut(k, sink)
        if step == STEP_MOVED:
            flow.state = FLOW_DONE
    if step == STEP_FAULT:
        flow_drop(k, flow)
        flow.state = FLOW_BROKEN
        return STEP_MOVED
    return step


cdef Step _push_held(Core* k, Flow* flow, Half* sink) noexcept nogil:
    cdef size_t moved
    cdef Step step
    while flow.held.head < flow.held.tail:
        moved = 0
        step = sink.xport.push(k, sink, flow.held.data + flow.held.head, flow.held.tail - flow.held.head, &moved)
        if step != STEP_MOVED:
            return step
        flow.held.head += <unsigned int> moved
        flow.bytes += moved
    flow_drop(k, flow)
    # The last bytes may wait inside the transport; the source is not read before they are gone.
    return STEP_WANT_WRITE if sink.unflushed else STEP_MOVED


cdef void flow_drop(Core* k, Flow* flow) noexcept nogil:
    if flow.held != NULL:
        pool_put(flow.held)
        flow.held = NULL
    if flow.pipe != NULL:
        pipe_put(&k.pipes, flow.pipe)
        flow.pipe = NULL
