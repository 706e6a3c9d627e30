# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See loop.pxd for the contract.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .accept cimport accept_part_by, accept_parting, accept_resume, accept_some, acceptor_stop
from .accesslog cimport accesslog_turn
from .conn cimport conn_abort, conn_advance, conn_end, conn_event, conn_reap, conn_timeout
from .counters cimport (N_BUFFERS_LENT, N_BUFFERS_MADE, N_GENERATION, N_HANDSHAKES_PENDING, N_HANDSHAKES_QUEUED,
                        N_LARGE_BUFFERS_LENT, N_LARGE_BUFFERS_MADE, N_PIPES_LENT, N_PIPES_MADE, N_TIMERS, N_TURNS)
from .defs cimport (CONN_CLOSED, CONN_FREE, DRAIN_ENDING, DRAIN_OFF, DRAIN_WAITING, FAULT_SHUTDOWN, NOTICE_NONE,
                    STOP_DRAINED, STOP_FAULT, STOP_NOTICE, STOP_PARTED, STOP_WATCH, Conn, Core, Queue, StopReason)
from .drain cimport drain_scan
from .overload cimport overload_serve
from .pending cimport pending_count, pending_queued
from .pipes cimport pipes_look
from .pool cimport BUFFER_BYTES, LARGE_BYTES
from .poller cimport POLL_ACCEPTOR, POLL_CONN, poll_is_current, poll_kind, poll_number, poll_side
from .queue cimport queue_pop
from .slab cimport slab_at, slab_slots
from .sys cimport CLOCK_MONOTONIC_COARSE, EINTR, clock_gettime, epoll_event, epoll_wait, errno, timespec
from .table cimport table_sweep
from .wheel cimport Timer, wheel_fire, wheel_wait_ms

cdef enum:
    EVENTS_PER_TURN = 256
    ENDING_MS = 1000           # after the drain deadline, for the last end-of-stream to get through
    TURN_BYTES = 33554432      # each way, that relays which find no end are to move together, before and in the queue


cdef void loop_tell_time(Core* k) noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    k.now_ms = <uint64_t> now.tv_sec * 1000 + <uint64_t> now.tv_nsec // 1000000


cdef StopReason loop_run(Core* k) noexcept nogil:
    cdef epoll_event[EVENTS_PER_TURN] events
    cdef int ready
    cdef bint watched
    if k.tls.ERR_clear_error != NULL:
        # Python's own use of the library on this thread may have left something in the queue.
        k.tls.ERR_clear_error()
    while True:
        # Connections may have ended outside the loop: by drain, by commit.
        conn_reap(k)
        if k.log != NULL:
            accesslog_turn(k)
        if k.draining != DRAIN_OFF and k.slab.live == 0 and k.parting == 0:
            return STOP_DRAINED
        ready = epoll_wait(k.epfd, events, EVENTS_PER_TURN, _wait_ms(k))
        if ready < 0 and errno != EINTR:
            return STOP_FAULT
        loop_tell_time(k)
        k.crowded = ready == EVENTS_PER_TURN
        # Bulk comes with two events, one of each side; who found no end in the last turn comes without.
        k.relay_bytes = loop_share(max(k.ready.length, <uint32_t> max(ready, 0) // 2))
        watched = _dispatch(k, events, ready)
        # One more budget for each relay that ran out of its own; those that run out again wait for the next turn.
        k.relay_bytes = loop_share(k.ready.length)
        _run_queue(k, &k.ready, k.ready.length)
        # Timers before handshakes: one that is past its deadline costs no more work.
        _run_timers(k)
        overload_serve(k)
        if k.drains and k.slab.live:
            drain_scan(k)
        if k.parting:
            accept_parting(k)
        if k.draining != DRAIN_OFF:
            _check_drain(k)
        conn_reap(k)
        if k.pipes.spare_count:
            pipes_look(&k.pipes, k.now_ms)
        if k.retired != NULL:
            table_sweep(k)
        if k.paused:
            accept_resume(k)
        _publish(k)
        if watched:
            return STOP_WATCH
        if k.notice != NOTICE_NONE:
            return STOP_NOTICE
        if k.parted:
            k.parted = 0
            return STOP_PARTED


cdef uint64_t loop_share(uint32_t relays) noexcept nogil:
    """Of one turn, for each relay when so many found no end in the last: long batches while they are few, and turns
    that stay short for everybody else when they are many.  An ordinary buffer at least, and a large one at most.
    """
    cdef uint64_t share = TURN_BYTES // max(relays, <uint32_t> 1)
    return min(max(share, <uint64_t> BUFFER_BYTES), <uint64_t> LARGE_BYTES)


cdef int _wait_ms(Core* k) noexcept nogil:
    cdef int64_t wait, left
    if k.ready.length or pending_queued(&k.pending) or k.parted or k.notice != NOTICE_NONE:
        return 0
    wait = wheel_wait_ms(&k.wheel, k.now_ms)
    if k.draining != DRAIN_OFF:
        left = <int64_t> (k.drain_deadline_ms - k.now_ms) if k.drain_deadline_ms > k.now_ms else 0
        wait = left if wait < 0 else min(wait, left)
    if k.drains and k.slab.live:
        left = <int64_t> (k.scan_ms - k.now_ms) if k.scan_ms > k.now_ms else 0
        wait = left if wait < 0 else min(wait, left)
    if k.parting:
        left = <int64_t> (k.part_ms - k.now_ms) if k.part_ms > k.now_ms else 0
        wait = left if wait < 0 else min(wait, left)
    if k.paused:
        left = <int64_t> (k.resume_ms - k.now_ms) if k.resume_ms > k.now_ms else 100
        wait = left if wait < 0 else min(wait, left)
    if k.pipes.spare_count:
        left = <int64_t> (k.pipes.look_ms - k.now_ms) if k.pipes.look_ms > k.now_ms else 0
        wait = left if wait < 0 else min(wait, left)
    # The coarse clock lags by a few milliseconds: waking on its tick saves an empty turn.
    return <int> min(wait + 4, <int64_t> 3600000) if wait >= 0 else -1


cdef bint _dispatch(Core* k, epoll_event* events, int ready) noexcept nogil:
    """Hand each event to what it concerns.  True: a watched descriptor is readable."""
    cdef bint watched = False
    cdef uint64_t key
    cdef Conn* c
    cdef int i
    for i in range(ready):
        key = events[i].data.u64
        if poll_kind(key) == POLL_CONN:
            c = slab_at(&k.slab, poll_number(key))
            if c.state != CONN_FREE and poll_is_current(key, c.generation):
                conn_event(k, c, poll_side(key), events[i].events)
        elif poll_kind(key) == POLL_ACCEPTOR:
            if not k.paused and k.acceptors[poll_number(key)].fd >= 0:
                accept_some(k, &k.acceptors[poll_number(key)])
        else:
            watched = True
    return watched


cdef void _run_queue(Core* k, Queue* queue, uint32_t most) noexcept nogil:
    """Advance those that wait, at most so many; one that queues itself again is served again only within that."""
    cdef Conn* c
    while most and queue.length:
        most -= 1
        c = queue_pop(queue)
        conn_advance(k, c)


cdef void _run_timers(Core* k) noexcept nogil:
    cdef Timer* due = wheel_fire(&k.wheel, k.now_ms)
    cdef Timer* timer
    while due != NULL:
        timer = due
        due = timer.next
        timer.next = NULL
        conn_timeout(k, <Conn*> timer)


cdef void _publish(Core* k) noexcept nogil:
    k.count[<int> N_TURNS] += 1
    k.count[<int> N_BUFFERS_LENT] = k.pool.lent
    k.count[<int> N_BUFFERS_MADE] = k.pool.made
    k.count[<int> N_LARGE_BUFFERS_LENT] = k.large.lent
    k.count[<int> N_LARGE_BUFFERS_MADE] = k.large.made
    k.count[<int> N_PIPES_LENT] = k.pipes.lent
    k.count[<int> N_PIPES_MADE] = k.pipes.made
    k.count[<int> N_TIMERS] = k.wheel.armed
    k.count[<int> N_HANDSHAKES_PENDING] = pending_count(&k.pending)
    k.count[<int> N_HANDSHAKES_QUEUED] = pending_queued(&k.pending)
    k.count[<int> N_GENERATION] = k.table.generation if k.table != NULL else 0


# --- draining the whole worker ---------------------------------------------------------------------------------

cdef void loop_drain(Core* k, unsigned long long deadline_ms) noexcept nogil:
    """Serve what has been accepted or waits to be, take nothing more, and end it all at the deadline.

    Sockets that are parting go their way.
    """
    cdef uint32_t i
    loop_tell_time(k)
    for i in range(k.acceptor_count):
        if k.acceptors[i].table == NULL:
            acceptor_stop(k, &k.acceptors[i])
    accept_part_by(k, deadline_ms)
    if k.draining == DRAIN_OFF:
        k.draining = DRAIN_WAITING
    k.drain_deadline_ms = deadline_ms


cdef void _check_drain(Core* k) noexcept nogil:
    if k.now_ms < k.drain_deadline_ms:
        return
    if k.draining == DRAIN_WAITING:
        k.draining = DRAIN_ENDING
        k.drain_deadline_ms = k.now_ms + ENDING_MS
        _end_all(k, False)
    else:
        _end_all(k, True)


cdef void _end_all(Core* k, bint at_once) noexcept nogil:
    cdef uint32_t slot
    cdef Conn* c
    for slot in range(slab_slots(&k.slab)):
        c = slab_at(&k.slab, slot)
        if c.state == CONN_FREE or c.state == CONN_CLOSED:
            continue
        if at_once:
            conn_abort(k, c, FAULT_SHUTDOWN)
        else:
            conn_end(k, c, FAULT_SHUTDOWN)


cdef void loop_abort_all(Core* k) noexcept nogil:
    _end_all(k, True)
    conn_reap(k)
