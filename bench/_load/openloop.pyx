# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# An open loop: connections come at their times, whatever has become of those before.
#
# A full one does its handshake and ends; a half one says its ClientHello and a silent one nothing, and both stay for
# HOLD_NS.  One that finds all SLOTS taken has failed.  Times are kept to a millisecond.

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastnlb._core.clock cimport clock_ns
from fastnlb._core.sys cimport epoll_event

from .peer cimport (EVENTS, STAGE_CLOSING, STAGE_NONE, STAGE_OPENING, STEP_DONE, STEP_FAULT, Peer, Step, Talk,
                    peer_advance, peer_close, peer_end, peer_greet, peer_open, peers_free, peers_make, talk_free,
                    talk_make, talk_wait)
from .tally cimport Tally, tally_free, tally_make, tally_outcome, tally_reset, tally_took
from .target cimport Target

cdef enum:
    SLOTS = 8192
    PATIENCE_NS = 10000000000
    HOLD_NS = 2000000000
    LOOK_MS = 100               # between two looks at Python's signals
    SCAN_NS = 1000000000        # between two looks at patience

cdef enum Kind:
    KIND_FULL
    KIND_HALF
    KIND_SILENT

cdef struct Run:
    Talk talk
    Tally tally
    Peer* peers
    uint32_t* spare             # numbers of peers without a connection; a stack
    uint32_t spares
    uint32_t* held              # a ring of half and silent ones in the order of their coming
    uint32_t first
    uint32_t holding
    Kind kind
    double gap_ns               # between two arrivals
    uint64_t came
    uint64_t count              # that are to come
    uint64_t looked             # ns


def arrivals(Target target not None, *, double per_second, double seconds, str kind):
    """See bench._load."""
    cdef Run run
    kinds = {"full": KIND_FULL, "half": KIND_HALF, "silent": KIND_SILENT}
    if kind not in kinds:
        raise ValueError(f"kind {kind}: must be one of {', '.join(kinds)}")
    if per_second <= 0 or seconds <= 0:
        raise ValueError("arrivals need a rate and a time above zero")
    if kind == "half" and target.context is None:
        raise ValueError("half a handshake is for TLS: give the target a context")
    memset(&run, 0, sizeof(run))
    run.kind = kinds[kind]
    run.gap_ns = 1e9 / per_second
    run.count = max(<uint64_t> 1, <uint64_t> (per_second * seconds))
    try:
        _make(&run, target)
        return _run_through(&run)
    finally:
        peers_free(run.peers, SLOTS)
        free(run.spare)
        free(run.held)
        talk_free(&run.talk)
        tally_free(&run.tally)


cdef int _make(Run* run, Target target) except -1:
    """Raises OSError, MemoryError."""
    cdef uint32_t i
    tally_make(&run.tally)
    talk_make(&run.talk, &target.place)
    run.peers = peers_make(SLOTS)
    run.spare = <uint32_t*> calloc(SLOTS, sizeof(uint32_t))
    run.held = <uint32_t*> calloc(SLOTS, sizeof(uint32_t))
    if run.spare == NULL or run.held == NULL:
        raise MemoryError()
    for i in range(<uint32_t> SLOTS):
        run.spare[i] = i
    run.spares = SLOTS
    return 0


cdef object _run_through(Run* run):
    """The Outcome.  Raises what a signal's handler raises."""
    cdef bint over = False
    tally_reset(&run.tally)
    run.talk.now = run.looked = run.tally.began
    while not over:
        with nogil:
            over = _go_on(run)
        PyErr_CheckSignals()
    run.tally.ended = clock_ns()
    return tally_outcome(&run.tally)


cdef bint _go_on(Run* run) noexcept nogil:
    """Until all is over, or it is time to look at signals.  Says whether all is over."""
    cdef epoll_event[EVENTS] events
    cdef uint64_t pause = run.talk.now + <uint64_t> LOOK_MS * 1000000
    cdef int ready, i
    cdef Peer* peer
    while run.talk.now < pause:
        while run.came < run.count and run.tally.began + <uint64_t> (run.came * run.gap_ns) <= run.talk.now:
            _come(run)
        if run.came == run.count and run.spares == SLOTS:
            return True
        ready = talk_wait(&run.talk, events, 1 if run.came < run.count or run.holding else LOOK_MS)
        for i in range(ready):
            peer = &run.peers[events[i].data.u64]
            if peer.stage != STAGE_NONE:
                _go(run, peer, events[i].events)
        _release(run)
        if run.talk.now - run.looked > <uint64_t> SCAN_NS:
            _look(run)
    return False


cdef void _come(Run* run) noexcept nogil:
    cdef Peer* peer
    run.came += 1
    if run.spares == 0:
        run.tally.failed += 1
        return
    run.spares -= 1
    peer = &run.peers[run.spare[run.spares]]
    if run.kind != KIND_FULL:
        run.held[(run.first + run.holding) % <uint32_t> SLOTS] = peer.number
        run.holding += 1
    if peer_open(&run.talk, peer):
        _go(run, peer, 0)
    else:
        _lose(run, peer)


cdef void _go(Run* run, Peer* peer, uint32_t events) noexcept nogil:
    cdef Step step
    if peer.stage == STAGE_CLOSING or (run.kind == KIND_FULL and peer.ssl != NULL):
        step = peer_advance(&run.talk, peer, events)
    elif peer.stage == STAGE_OPENING:
        step = peer_greet(&run.talk, peer, run.kind == KIND_HALF)
    else:
        # The other side has ended it; nothing else is watched for.
        peer_close(peer)
        return
    if step == STEP_FAULT:
        _lose(run, peer)
    elif step == STEP_DONE:
        _got_there(run, peer)


cdef void _got_there(Run* run, Peer* peer) noexcept nogil:
    if peer.stage == STAGE_CLOSING:
        _free(run, peer)
        return
    tally_took(&run.tally, clock_ns() - peer.began)
    if run.kind == KIND_FULL:
        peer_end(&run.talk, peer)


cdef void _lose(Run* run, Peer* peer) noexcept nogil:
    if peer.stage != STAGE_CLOSING:
        run.tally.failed += 1
    if run.kind == KIND_FULL:
        _free(run, peer)
    else:
        # Its place in the ring keeps the number until then.
        peer_close(peer)


cdef void _free(Run* run, Peer* peer) noexcept nogil:
    peer_close(peer)
    run.spare[run.spares] = peer.number
    run.spares += 1


cdef void _release(Run* run) noexcept nogil:
    """Those that were held for long enough."""
    cdef Peer* peer
    while run.holding:
        peer = &run.peers[run.held[run.first]]
        if peer.began + HOLD_NS > run.talk.now:
            return
        run.first = (run.first + 1) % <uint32_t> SLOTS
        run.holding -= 1
        if peer.stage == STAGE_OPENING:
            run.tally.failed += 1
        _free(run, peer)


cdef void _look(Run* run) noexcept nogil:
    """Give up handshakes and ends that take too long."""
    cdef uint32_t i
    cdef Peer* peer
    run.looked = run.talk.now
    if run.kind != KIND_FULL:
        return
    for i in range(<uint32_t> SLOTS):
        peer = &run.peers[i]
        if peer.stage != STAGE_NONE and peer.began + PATIENCE_NS < run.talk.now:
            _lose(run, peer)
