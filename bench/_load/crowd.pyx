# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Many open connections, of which some or all work: ping-pong, downloads, uploads.
#
# A task gives each of the first `size` peers something to do, and is over when none is left that does it: those that
# are done, those that failed, those of which nothing was heard for PATIENCE_NS.  A peer that is lost stays lost, and
# is counted as failed in the task during which that was noticed.

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strerror

from fastnlb._core.clock cimport clock_ns
from fastnlb._core.sys cimport (CLOCK_MONOTONIC, EPOLL_CTL_ADD, EPOLLIN, close, epoll_ctl, epoll_event, errno)

from .peer cimport (EVENTS, STAGE_NONE, STEP_DONE, STEP_FAULT, Peer, Step, Talk, peer_advance, peer_ask,
                    peer_close, peer_open, peer_owes, peers_free, peers_make, talk_command, talk_free, talk_make,
                    talk_wait)
from .sys cimport TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME, itimerspec, read, timerfd_create, timerfd_settime
from .tally cimport Tally, tally_free, tally_make, tally_outcome, tally_reset, tally_took
from .target cimport Target

cdef enum:
    PATIENCE_NS = 10000000000
    LOOK_NS = 100000000         # between two looks at patience, and at Python's signals
    AT_A_TIME = 64              # connections that are being made
    ALARM = 0xffffffff          # what epoll says of the timer

cdef uint64_t FOR_EVER = <uint64_t> 1 << 62

cdef enum Task:
    TASK_JOIN                   # connect, and one byte there and back
    TASK_ECHO                   # round trips until the time is over
    TASK_ONCE                   # one exchange each

cdef struct Run:
    Talk talk
    Tally tally
    Peer* peers
    uint32_t* thinking          # a ring of `count` peers in the order in which they go on
    uint64_t* due               # ns; of each peer that thinks
    uint32_t first              # of the ring
    uint32_t thinkers
    int alarm                   # a timer descriptor
    uint32_t count
    Task task
    uint32_t size               # peers that have, or had, something to do
    uint32_t left               # that have not done it
    uint32_t opened             # of TASK_JOIN
    uint64_t bytes              # of each round trip
    uint64_t think              # ns between two round trips of a peer
    uint64_t until              # ns; no round trip begins later
    uint64_t looked             # ns


cdef class Crowd:
    """See bench._load."""

    cdef Run run
    cdef readonly Target target
    cdef bint _echoes

    def __cinit__(self):
        memset(&self.run, 0, sizeof(Run))
        self.run.alarm = -1

    def __init__(self, Target target not None, uint32_t count):
        if count < 1:
            raise ValueError("a crowd needs at least one connection")
        self.target = target
        _make(&self.run, target, count)
        talk_command(&self.run.talk, c"E", 1)
        _begin(&self.run, TASK_JOIN, count)
        outcome = self._finish()
        if outcome.failed:
            self.close()
            raise RuntimeError(f"{target.address}:{target.port} served {outcome.units} of {count} connections")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __dealloc__(self):
        _unmake(&self.run)

    def close(self):
        _unmake(&self.run)

    def echo(self, *, uint64_t size, double seconds, active=None, double think_us=0):
        cdef uint32_t some = self._some(active)
        if size < 1 or seconds <= 0 or think_us < 0:
            raise ValueError("echoes need at least one byte, some time, and no negative pause")
        self._echoes = True
        talk_command(&self.run.talk, c"E", FOR_EVER)
        self.run.bytes = size
        self.run.think = <uint64_t> (think_us * 1000)
        self.run.until = clock_ns() + <uint64_t> (seconds * 1e9)
        _begin(&self.run, TASK_ECHO, some)
        return self._finish()

    def download(self, uint64_t bytes_each):
        return self._transfer(c"D", bytes_each, 0, bytes_each)

    def upload(self, uint64_t bytes_each):
        return self._transfer(c"U", bytes_each, bytes_each, 1)

    cdef object _transfer(self, char kind, uint64_t bytes_each, uint64_t to_send, uint64_t to_receive):
        self._some(None)
        if bytes_each < 1024:
            raise ValueError("a transfer is counted in KiB: give each connection at least 1024 bytes")
        if self._echoes:
            raise RuntimeError("the origin echoes whatever this crowd says: open another one for transfers")
        talk_command(&self.run.talk, kind, bytes_each)
        self.run.bytes = bytes_each
        _begin(&self.run, TASK_ONCE, self.run.count, to_send, to_receive)
        return self._finish()

    cdef object _finish(self):
        try:
            return _run_through(&self.run)
        except BaseException:
            # Connections in the middle of something are of no use to another task.
            self.close()
            raise

    cdef uint32_t _some(self, active) except 0:
        if self.run.peers == NULL:
            raise ValueError("the crowd is closed")
        if active is None:
            return self.run.count
        if not 0 < active <= self.run.count:
            raise ValueError(f"{active} active of {self.run.count} connections")
        return active


# --- making and running ----------------------------------------------------------------------------------------

cdef int _make(Run* run, Target target, uint32_t count) except -1:
    """Raises OSError, MemoryError."""
    cdef epoll_event event
    tally_make(&run.tally)
    talk_make(&run.talk, &target.place)
    run.count = count
    run.peers = peers_make(count)
    run.thinking = <uint32_t*> calloc(count, sizeof(uint32_t))
    run.due = <uint64_t*> calloc(count, sizeof(uint64_t))
    if run.thinking == NULL or run.due == NULL:
        raise MemoryError()
    run.alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
    event.events = EPOLLIN
    event.data.u64 = ALARM
    if run.alarm < 0 or epoll_ctl(run.talk.epfd, EPOLL_CTL_ADD, run.alarm, &event) != 0:
        raise OSError(errno, f"no descriptor for a timer: {strerror(errno).decode()}")
    return 0


cdef void _unmake(Run* run) noexcept nogil:
    peers_free(run.peers, run.count)
    talk_free(&run.talk)
    tally_free(&run.tally)
    free(run.thinking)
    free(run.due)
    if run.alarm >= 0:
        close(run.alarm)
    memset(run, 0, sizeof(Run))
    run.alarm = -1


cdef object _run_through(Run* run):
    """The Outcome.  Raises what a signal's handler raises."""
    cdef bint over = False
    while not over:
        with nogil:
            over = _go_on(run)
        PyErr_CheckSignals()
    run.tally.ended = clock_ns()
    run.tally.bytes = run.talk.received
    if run.task == TASK_ONCE:
        run.tally.bytes = run.tally.units * run.bytes
        run.tally.units = run.tally.bytes // 1024
    return tally_outcome(&run.tally)


cdef void _begin(Run* run, Task task, uint32_t size, uint64_t to_send=0, uint64_t to_receive=0) noexcept nogil:
    cdef uint32_t i
    tally_reset(&run.tally)
    run.talk.now = run.looked = run.tally.began
    run.talk.received = 0
    run.task = task
    run.size = run.left = size
    run.thinkers = run.first = run.opened = 0
    if task == TASK_JOIN:
        _join_some(run)
        return
    for i in range(size):
        if run.peers[i].stage == STAGE_NONE:
            _lose(run, &run.peers[i], True)
        elif task == TASK_ECHO and run.think:
            # Spread over a pause, or they would all go on at the same moment for ever.
            _think(run, &run.peers[i], run.talk.now + run.think * i // size)
        elif task == TASK_ECHO:
            _ping(run, &run.peers[i])
        else:
            _ask(run, &run.peers[i], True, to_send, to_receive)


cdef bint _go_on(Run* run) noexcept nogil:
    """Until the task is over, or it is time to look at signals.  Says whether it is over."""
    cdef epoll_event[EVENTS] events
    cdef uint64_t pause = run.talk.now + LOOK_NS
    cdef int ready, i
    while run.left and run.talk.now < pause:
        ready = talk_wait(&run.talk, events, LOOK_NS // 1000000)
        for i in range(ready):
            if events[i].data.u64 == ALARM:
                _wake(run)
            else:
                _event(run, &run.peers[events[i].data.u64], events[i].events)
        if run.talk.now - run.looked > LOOK_NS:
            _look(run)
    return run.left == 0


cdef void _look(Run* run) noexcept nogil:
    """Give up those of which nothing is heard."""
    cdef uint32_t i
    run.looked = run.talk.now
    for i in range(run.size):
        if peer_owes(&run.peers[i]) and run.peers[i].moved + PATIENCE_NS < run.talk.now:
            _lose(run, &run.peers[i], True)


# --- what peers do ---------------------------------------------------------------------------------------------

cdef void _event(Run* run, Peer* peer, uint32_t events) noexcept nogil:
    cdef bint owes = peer_owes(peer)
    if peer.stage != STAGE_NONE:
        _settle(run, peer, peer_advance(&run.talk, peer, events), owes)


cdef void _ask(Run* run, Peer* peer, bint command, uint64_t to_send, uint64_t to_receive) noexcept nogil:
    # Not the time of this turn, in which others had theirs before.
    peer.began = clock_ns()
    peer_ask(&run.talk, peer, command, to_send, to_receive)
    _settle(run, peer, peer_advance(&run.talk, peer, 0), True)


cdef void _settle(Run* run, Peer* peer, Step step, bint owes) noexcept nogil:
    if step == STEP_FAULT:
        _lose(run, peer, owes)
    elif step == STEP_DONE and owes:
        _answered(run, peer)


cdef void _answered(Run* run, Peer* peer) noexcept nogil:
    tally_took(&run.tally, clock_ns() - peer.began)
    if run.task != TASK_ECHO or run.talk.now >= run.until:
        run.left -= 1
        if run.task == TASK_JOIN:
            _join_some(run)
    elif run.think:
        _think(run, peer, run.talk.now + run.think)
    else:
        _ping(run, peer)


cdef void _lose(Run* run, Peer* peer, bint owes) noexcept nogil:
    """`owes`: the task waited for it."""
    run.tally.failed += 1
    peer_close(peer)
    if owes:
        run.left -= 1
        if run.task == TASK_JOIN:
            _join_some(run)


cdef void _join_some(Run* run) noexcept nogil:
    """As many as may be under way.  After a failure no more come: the crowd will not be complete."""
    cdef Peer* peer
    cdef uint32_t before
    while run.opened < run.size and run.left - (run.size - run.opened) < AT_A_TIME:
        before = run.opened
        run.opened += 1
        peer = &run.peers[before]
        if run.tally.failed or not peer_open(&run.talk, peer):
            run.tally.failed += 1
            run.left -= 1
            peer_close(peer)
        else:
            peer_ask(&run.talk, peer, True, 1, 1)
            _settle(run, peer, peer_advance(&run.talk, peer, 0), True)


# --- round trips and pauses ------------------------------------------------------------------------------------

cdef void _ping(Run* run, Peer* peer) noexcept nogil:
    cdef bint command = not peer.echoing
    peer.echoing = True
    _ask(run, peer, command, run.bytes, run.bytes)


cdef void _think(Run* run, Peer* peer, uint64_t due) noexcept nogil:
    # All pauses are equally long, so that the order of coming is the order of going.
    cdef uint32_t at = (run.first + run.thinkers) % run.count
    run.thinking[at] = peer.number
    run.due[peer.number] = min(due, run.until)
    run.thinkers += 1
    if run.thinkers == 1:
        _set_alarm(run)


cdef void _set_alarm(Run* run) noexcept nogil:
    cdef itimerspec when
    cdef uint64_t due = run.due[run.thinking[run.first]]
    memset(&when, 0, sizeof(when))
    when.it_value.tv_sec = <long> (due // 1000000000)
    when.it_value.tv_nsec = <long> (due % 1000000000)
    timerfd_settime(run.alarm, TFD_TIMER_ABSTIME, &when, NULL)


cdef void _wake(Run* run) noexcept nogil:
    """Those whose pause is over go on, or are done when the time is."""
    cdef uint64_t times = 0
    cdef Peer* peer
    read(run.alarm, &times, sizeof(times))
    while run.thinkers and run.due[run.thinking[run.first]] <= run.talk.now:
        peer = &run.peers[run.thinking[run.first]]
        run.first = (run.first + 1) % run.count
        run.thinkers -= 1
        if peer.stage == STAGE_NONE or run.talk.now >= run.until:
            run.left -= 1
        else:
            _ping(run, peer)
    if run.thinkers:
        _set_alarm(run)
