# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See accept.pxd for the contract.

from libc.stdint cimport uint32_t, uint64_t

from .conn cimport conn_open, conn_reap
from .counters cimport N_ACCEPT_ERRORS, N_ACCEPT_PAUSES, N_TURNS
from .defs cimport NOTICE_DESCRIPTORS, NOTICE_NONE, NOTICE_RESUMED, Acceptor, Core, Table
from .half cimport descriptor_reset
from .limit cimport limit_enter
from .overload cimport overload_evict, overload_full
from .pipes cimport pipes_clear
from .poller cimport POLL_ACCEPTOR, poll_add_level, poll_key, poll_remove
from .sys cimport (EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, POLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK,
                   accept4, close, errno, poll, pollfd, sockaddr, socklen_t)

cdef enum:
    LARGEST_BURST = 32         # a storm of connections must not hold up running relays
    ACCEPTS_AT_END = 65536     # a stopped listener serves its queue, but not for ever
    PAUSE_MS = 100             # the least time accepting stays paused


cdef uint32_t _room(Core* k) noexcept nogil:
    """How many more connections the descriptor limit has room for."""
    cdef uint32_t needed = 2 * k.slab.live + 2 * k.pipes.made
    return (k.descriptor_limit - needed) // 2 if k.descriptor_limit > needed else 0


cdef void accept_some(Core* k, Acceptor* acceptor) noexcept nogil:
    """Accept a batch; the socket is level-triggered, so what is left is reported again.

    Looking into an empty queue costs a system call, so a batch grows only while more is found turn after turn.
    """
    if _accept(k, acceptor, acceptor.burst):
        acceptor.burst = max(acceptor.burst // 2, 1)
    elif k.crowded or acceptor.looked_turn + 1 == k.count[<int> N_TURNS]:
        acceptor.burst = min(acceptor.burst * 2, <int> LARGEST_BURST)
    acceptor.looked_turn = k.count[<int> N_TURNS]


cdef void accept_all(Core* k, Acceptor* acceptor) noexcept nogil:
    """Accept until the queue is empty: closing the socket would reset what still waits there."""
    _accept(k, acceptor, ACCEPTS_AT_END)


cdef bint _accept(Core* k, Acceptor* acceptor, int most) noexcept nogil:
    """True: the queue was found empty."""
    cdef int fd
    cdef sockaddr* peer = <sockaddr*> &k.came_from if k.logging else NULL
    cdef socklen_t length
    while most > 0:
        most -= 1
        if _room(k) == 0 and k.pipes.spare_count:
            # Pipes only save time.
            pipes_clear(&k.pipes)
        if _room(k) == 0 or overload_full(k):
            # Places that were made free count from the next turn on, and the socket is reported again until then.
            if not _is_waited_at(acceptor) or overload_evict(k, LARGEST_BURST) == 0:
                _pause(k)
            return False
        length = sizeof(k.came_from)
        fd = accept4(acceptor.fd, peer, &length if peer != NULL else NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            _open(k, acceptor, fd)
        elif errno == EAGAIN:
            return True
        elif errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
            _pause(k)
            return False
        elif errno != EINTR and errno != ECONNABORTED:
            k.count[<int> N_ACCEPT_ERRORS] += 1
            return False
    return False


cdef void _open(Core* k, Acceptor* acceptor, int fd) noexcept nogil:
    cdef Table* table = acceptor.table if acceptor.table != NULL else k.table
    if limit_enter(k, &table.listeners[acceptor.listener]):
        conn_open(k, table, acceptor.listener, fd)
    else:
        descriptor_reset(fd)


cdef void _pause(Core* k) noexcept nogil:
    if k.paused:
        return
    k.paused = 1
    k.resume_ms = k.now_ms + PAUSE_MS
    if not overload_full(k):
        k.notice = NOTICE_DESCRIPTORS
    k.count[<int> N_ACCEPT_PAUSES] += 1
    pipes_clear(&k.pipes)
    _stop_listening(k)


cdef void accept_resume(Core* k) noexcept nogil:
    """Go on accepting once a sixteenth of the limit is free, so that it does not stop again at once."""
    cdef uint32_t i
    pipes_clear(&k.pipes)
    if k.now_ms < k.resume_ms or not _has_room_again(k):
        return
    for i in range(k.acceptor_count):
        if k.acceptors[i].fd >= 0 and not _listen(k, i):
            # The kernel is short of memory: none of them, and again later.
            _stop_listening(k)
            k.resume_ms = k.now_ms + PAUSE_MS
            return
    k.paused = 0
    if k.notice == NOTICE_NONE:
        k.notice = NOTICE_RESUMED


cdef bint _has_room_again(Core* k) noexcept nogil:
    cdef uint32_t enough = k.descriptor_limit // 32 + 1
    if (_room(k) < enough or overload_full(k)) and _somebody_waits(k):
        overload_evict(k, max(enough, <uint32_t> LARGEST_BURST))
        conn_reap(k)
    return _room(k) >= enough and not overload_full(k)


cdef bint _somebody_waits(Core* k) noexcept nogil:
    """Asked before others are sent away: a full house alone is no reason."""
    cdef uint32_t i
    for i in range(k.acceptor_count):
        if k.acceptors[i].fd >= 0 and _is_waited_at(&k.acceptors[i]):
            return True
    return False


cdef bint _is_waited_at(const Acceptor* acceptor) noexcept nogil:
    cdef pollfd asked
    asked.fd = acceptor.fd
    asked.events = POLLIN
    asked.revents = 0
    return poll(&asked, 1, 0) == 1


cdef bint _listen(Core* k, uint32_t acceptor) noexcept nogil:
    return poll_add_level(k.epfd, k.acceptors[acceptor].fd, poll_key(POLL_ACCEPTOR, False, 0, acceptor))


cdef void _stop_listening(Core* k) noexcept nogil:
    cdef uint32_t i
    for i in range(k.acceptor_count):
        if k.acceptors[i].fd >= 0:
            poll_remove(k.epfd, k.acceptors[i].fd)


cdef bint acceptor_start(Core* k, Acceptor* acceptor) noexcept nogil:
    if k.paused:
        return True
    return _listen(k, <uint32_t> (acceptor - k.acceptors))


cdef void acceptor_stop(Core* k, Acceptor* acceptor) noexcept nogil:
    """Serve what waits in the queue, then let go of the socket."""
    if acceptor.fd < 0:
        return
    accept_all(k, acceptor)
    poll_remove(k.epfd, acceptor.fd)
    close(acceptor.fd)
    acceptor.fd = -1
    if acceptor.table != NULL:
        acceptor.table.refs -= 1
        acceptor.table = NULL
        k.parting -= 1


# --- parting ---------------------------------------------------------------------------------------------------

cdef void acceptor_part(Core* k, Acceptor* acceptor, Table* table, uint64_t until_ms) noexcept nogil:
    """Its socket is in no configuration any more: go on for `table` until then.  Harmless for one that does."""
    if acceptor.fd < 0 or acceptor.table != NULL:
        return
    acceptor.table = table
    table.refs += 1
    acceptor.until_ms = until_ms
    k.part_ms = min(k.part_ms, until_ms) if k.parting else until_ms
    k.parting += 1


cdef void accept_parting(Core* k) noexcept nogil:
    """Let go of the sockets whose time is up."""
    cdef uint32_t i
    cdef uint64_t earliest = 0
    cdef Acceptor* acceptor
    if k.now_ms < k.part_ms:
        return
    for i in range(k.acceptor_count):
        acceptor = &k.acceptors[i]
        if acceptor.table != NULL and acceptor.until_ms <= k.now_ms:
            acceptor_stop(k, acceptor)
            k.parted = 1
        elif acceptor.table != NULL:
            earliest = min(earliest, acceptor.until_ms) if earliest else acceptor.until_ms
    k.part_ms = earliest


cdef void accept_part_by(Core* k, uint64_t deadline_ms) noexcept nogil:
    """None of them stays longer than that."""
    cdef uint32_t i
    for i in range(k.acceptor_count):
        k.acceptors[i].until_ms = min(k.acceptors[i].until_ms, deadline_ms)
    k.part_ms = min(k.part_ms, deadline_ms)
