# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Whole connections one after the other in a number of slots: connect, handshake, one byte echoed, end.
#
# A slot goes on at once after a connection that was good.  After one that failed it rests, so that a proxy which is
# gone makes a bounded number of failures.  No new connection begins after the bound in time or number; those under
# way are waited for, each for as long as PATIENCE_NS, so that the end is bounded too.

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from fastnlb._core.clock cimport clock_ns
from fastnlb._core.sys cimport epoll_event

from .peer cimport (EVENTS, STAGE_CLOSING, STAGE_NONE, STEP_FAULT, STEP_WAIT, Peer, Step, Talk,
                    peer_advance, peer_ask, peer_close, peer_end, peer_keep_session, peer_open, peers_free,
                    peers_make, talk_command, talk_free, talk_make, talk_wait)
from .tally cimport Tally, tally_free, tally_make, tally_outcome, tally_reset, tally_took
from .target cimport Target

cdef enum:
    PATIENCE_NS = 10000000000
    REST_NS = 10000000
    LOOK_NS = 100000000         # between two looks at patience, and at Python's signals

cdef struct Run:
    Talk talk
    Tally tally
    Peer* peers
    uint32_t slots
    uint32_t busy               # with a connection
    uint32_t resting
    uint64_t started
    uint64_t bound              # connections; 0: none
    uint64_t until              # ns; 0: none
    uint64_t looked             # ns
    bint resume
    bint demand                 # a connection that was not resumed has failed


def connections(Target target not None, *, uint32_t at_a_time=1, double seconds=0.0, uint64_t count=0,
                bint resume=False):
    """See bench._load."""
    cdef Run run
    if at_a_time < 1 or seconds < 0 or (seconds == 0 and count == 0):
        raise ValueError("connections need at least one slot, and an end in seconds or in their count")
    if resume and target.context is None:
        raise ValueError("sessions are for TLS: give the target a context")
    memset(&run, 0, sizeof(run))
    run.slots = at_a_time
    run.resume = resume
    try:
        tally_make(&run.tally)
        talk_make(&run.talk, &target.place)
        run.peers = peers_make(at_a_time)
        talk_command(&run.talk, c"E", 1)
        if resume:
            _run_through(&run, 0, at_a_time)
            run.demand = True
        _run_through(&run, seconds, count)
        return tally_outcome(&run.tally)
    finally:
        peers_free(run.peers, at_a_time)
        talk_free(&run.talk)
        tally_free(&run.tally)


cdef int _run_through(Run* run, double seconds, uint64_t count) except -1:
    """Raises what a signal's handler raises."""
    cdef bint over = False
    with nogil:
        _begin(run, seconds, count)
    while not over:
        with nogil:
            over = _go_on(run)
        PyErr_CheckSignals()
    run.tally.ended = clock_ns()
    return 0


cdef void _begin(Run* run, double seconds, uint64_t count) noexcept nogil:
    cdef uint32_t i
    tally_reset(&run.tally)
    run.talk.now = run.looked = run.tally.began
    run.talk.received = 0
    run.started = 0
    run.bound = count
    run.until = run.talk.now + <uint64_t> (seconds * 1e9) if seconds > 0 else 0
    run.resting = 0
    for i in range(run.slots):
        _start(run, &run.peers[i])


cdef bint _go_on(Run* run) noexcept nogil:
    """Until all is over, or it is time to look at signals.  Says whether all is over."""
    cdef epoll_event[EVENTS] events
    cdef uint64_t pause = run.talk.now + LOOK_NS
    cdef int ready, i
    cdef Peer* peer
    while run.talk.now < pause:
        if run.busy == 0 and not _may_start(run):
            run.tally.bytes = run.talk.received
            return True
        ready = talk_wait(&run.talk, events, REST_NS // 1000000)
        for i in range(ready):
            peer = &run.peers[events[i].data.u64]
            if peer.stage != STAGE_NONE:
                _settle(run, peer, peer_advance(&run.talk, peer, events[i].events))
        if run.resting or run.talk.now - run.looked > LOOK_NS:
            _look(run)
    return False


cdef bint _may_start(const Run* run) noexcept nogil:
    return (run.bound == 0 or run.started < run.bound) and (run.until == 0 or run.talk.now < run.until)


cdef void _start(Run* run, Peer* peer) noexcept nogil:
    if not _may_start(run):
        return
    run.started += 1
    run.busy += 1
    if not peer_open(&run.talk, peer):
        _fail(run, peer)
        return
    peer_ask(&run.talk, peer, True, 1, 1)
    _settle(run, peer, peer_advance(&run.talk, peer, 0))


cdef void _settle(Run* run, Peer* peer, Step step) noexcept nogil:
    if step == STEP_WAIT:
        return
    if step == STEP_FAULT:
        _fail(run, peer)
    elif peer.stage != STAGE_CLOSING:
        _answered(run, peer)
    else:
        peer_close(peer)
        run.busy -= 1
        _start(run, peer)


cdef void _answered(Run* run, Peer* peer) noexcept nogil:
    if run.resume and not peer_keep_session(peer) and run.demand:
        run.tally.failed += 1
    else:
        tally_took(&run.tally, clock_ns() - peer.began)
    peer_end(&run.talk, peer)


cdef void _fail(Run* run, Peer* peer) noexcept nogil:
    # One that answered has been counted already, one way or the other.
    if peer.stage != STAGE_CLOSING:
        run.tally.failed += 1
    peer_close(peer)
    run.busy -= 1
    run.resting += 1
    peer.began = run.talk.now + REST_NS


cdef void _look(Run* run) noexcept nogil:
    """Give up those that take too long; start those that have rested."""
    cdef uint32_t i
    cdef Peer* peer
    run.looked = run.talk.now
    run.resting = 0
    for i in range(run.slots):
        peer = &run.peers[i]
        if peer.stage != STAGE_NONE:
            if peer.began + PATIENCE_NS < run.talk.now:
                _fail(run, peer)
        elif not _may_start(run):
            continue
        elif peer.began <= run.talk.now:
            _start(run, peer)
        else:
            run.resting += 1
