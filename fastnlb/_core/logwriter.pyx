# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See logwriter.pxd for the contract.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr

from .logring cimport logring_clear, logring_held, logring_init, logring_take
from .sys cimport (EAGAIN, EFD_CLOEXEC, EFD_NONBLOCK, EINTR, ENOMEM, MSG_DONTWAIT, MSG_NOSIGNAL, POLLIN, POLLOUT,
                   S_ISREG, S_ISSOCK, SIG_SETMASK, atomic_fence, close, errno, eventfd, fstat, getpid, poll, pollfd,
                   pthread_create, pthread_join, pthread_sigmask, read, send, sigfillset, sigset_t, ssize_t, stat_t,
                   write)

cdef extern from "sys.h" nogil:
    uint64_t atomic_load64(const uint64_t* at) noexcept
    uint64_t atomic_add64(uint64_t* at, uint64_t value) noexcept
    uint64_t atomic_exchange64(uint64_t* at, uint64_t value) noexcept
    int atomic_exchange32(int* at, int value) noexcept
    int atomic_loadi32(const int* at) noexcept
    void atomic_storei32(int* at, int value) noexcept

cdef enum:
    MAIL_NONE = -2
    MAIL_NOWHERE = -1
    PIPE_CHUNK_BYTES = 4096    # PIPE_BUF
    CHUNKS_PER_ROUND = 32      # more than a ring has; then there may be mail
    GATHER_MS = 100            # a line waits for company no longer
    LAST_MS = 300              # what a sink that takes nothing gets at the end
    END_MS = 700               # after which a thread that hangs in a write is left behind


# --- the loop's side -------------------------------------------------------------------------------------------

cdef LogWriter* logwriter_new(uint64_t* lines, uint64_t* dropped, uint64_t ring_bytes) noexcept nogil:
    """NULL: errno says why.  Its lines go nowhere until logwriter_send_to."""
    cdef LogWriter* w = <LogWriter*> calloc(1, sizeof(LogWriter))
    cdef int error = ENOMEM
    if w == NULL:
        return NULL
    w.lines, w.dropped, w.pid = lines, dropped, <uint32_t> getpid()
    w.fd, w.mail, w.bell, w.until = -1, MAIL_NONE, <uint64_t> -1, <uint64_t> -1
    w.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    w.ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if w.wake < 0 or w.ended < 0:
        error = errno
    elif logring_init(&w.ring, ring_bytes):
        error = _start(w)
    if error == 0:
        return w
    _free(w)
    (&errno)[0] = error
    return NULL


cdef int _start(LogWriter* w) noexcept nogil:
    """0, or an errno.  The thread takes no signals: Python's handlers are for the main one."""
    cdef sigset_t all_signals, before
    cdef int error
    sigfillset(&all_signals)
    pthread_sigmask(SIG_SETMASK, &all_signals, &before)
    error = pthread_create(&w.thread, NULL, _run, w)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    return error


cdef void _free(LogWriter* w) noexcept nogil:
    if w.wake >= 0:
        close(w.wake)
    if w.ended >= 0:
        close(w.ended)
    logring_clear(&w.ring)
    free(w)


cdef void logwriter_send_to(LogWriter* w, int fd) noexcept nogil:
    """Lines go to `fd` from now on, which is the writer's; those before it go where they were to go, if that takes
    them at once.  -1: nowhere; nothing is to be put into the ring then.  A descriptor that the writer did not come
    to fetch before the next one is closed unused.
    """
    cdef int before
    w.mail_head = w.ring.head
    before = atomic_exchange32(&w.mail, fd)
    if before >= 0:
        close(before)
    _wake(w)


cdef void logwriter_turn(LogWriter* w) noexcept nogil:
    """After lines were put, once for all of a turn."""
    if w.told == w.ring.head:
        return
    w.told = w.ring.head
    # Either the writer sees these lines before it sleeps, or we see that it does.
    atomic_fence()
    if logring_held(&w.ring) >= atomic_load64(&w.bell) and atomic_exchange64(&w.bell, <uint64_t> -1) != <uint64_t> -1:
        _wake(w)


cdef void logwriter_drop(LogWriter* w) noexcept nogil:
    """A line did not get into the ring."""
    w.slow = 1
    atomic_add64(w.dropped, 1)


cdef void logwriter_end(LogWriter* w) noexcept nogil:
    """Write what there is and free everything; what hangs is left behind with what it uses, for the process's end."""
    cdef pollfd asked
    atomic_storei32(&w.stop, 1)
    _wake(w)
    asked.fd, asked.events, asked.revents = w.ended, POLLIN, 0
    while poll(&asked, 1, END_MS) < 0 and errno == EINTR:
        pass
    if asked.revents:
        pthread_join(w.thread, NULL)
        _free(w)


cdef void _wake(LogWriter* w) noexcept nogil:
    cdef uint64_t one = 1
    write(w.wake, &one, sizeof(one))


# --- the thread ------------------------------------------------------------------------------------------------

cdef void* _run(void* argument) noexcept nogil:
    cdef LogWriter* w = <LogWriter*> argument
    cdef uint64_t one = 1
    cdef bint stopping = False
    while not stopping:
        # Asked first: what was put before the stop is written after it.
        stopping = atomic_loadi32(&w.stop) != 0
        _fetch_mail(w)
        if not _write_round(w):
            if stopping and _takes(w, LAST_MS):
                stopping = False
            elif not stopping:
                _await_sink(w)
        elif not stopping:
            _sleep(w)
        elif logring_held(&w.ring):
            stopping = False
    _drop_all(w)
    if w.fd >= 0:
        close(w.fd)
    write(w.ended, &one, sizeof(one))
    return NULL


cdef void _fetch_mail(LogWriter* w) noexcept nogil:
    cdef stat_t status
    cdef int fd = atomic_exchange32(&w.mail, MAIL_NONE)
    if fd == MAIL_NONE:
        return
    if w.fd >= 0:
        w.until = w.mail_head
        _write_round(w)
        w.until = <uint64_t> -1
        close(w.fd)
    w.fd = fd
    if fd == MAIL_NOWHERE:
        _drop_all(w)
    elif fstat(fd, &status) == 0:
        w.file, w.socket = S_ISREG(status.st_mode), S_ISSOCK(status.st_mode)
    # The rest of a line would be half a line to the new one.
    _begin_anew(w)


cdef void _begin_anew(LogWriter* w) noexcept nogil:
    """What is left of the chunk goes out by whole lines: from where the line under way began."""
    w.torn = False
    if w.done == w.length:
        return
    while w.done > w.led and w.chunk[w.done - 1] != c"\n":
        w.done -= 1
    w.done = max(w.done, w.led)


cdef bint _write_round(LogWriter* w) noexcept nogil:
    """Write what is in the ring, up to a bound.  False: the sink takes nothing more for now."""
    cdef int chunks = 0
    cdef ssize_t n
    while True:
        if w.done == w.length:
            if chunks == CHUNKS_PER_ROUND or not _fill(w):
                return True
            chunks += 1
        if w.fd < 0:
            _drop_chunk(w)
            continue
        if not w.file and not _takes(w, 0):
            return False
        n = _write(w)
        if n > 0:
            _count(w, w.lines, w.done + <uint32_t> n)
        elif n < 0 and errno == EAGAIN:
            return False
        elif n == 0 or errno != EINTR:
            atomic_storei32(&w.error, errno)
            # Nothing of the chunk, nor the line end that it begins with, is written: the line before stays torn.
            w.torn = w.chunk[w.done - 1] != c"\n" if w.done > 0 else w.led > 0
            _drop_chunk(w)


cdef ssize_t _write(LogWriter* w) noexcept nogil:
    if w.socket:
        return send(w.fd, &w.chunk[w.done], w.length - w.done, MSG_DONTWAIT | MSG_NOSIGNAL)
    return write(w.fd, &w.chunk[w.done], w.length - w.done)


cdef bint _fill(LogWriter* w) noexcept nogil:
    """The next chunk.  False: the ring is empty."""
    cdef uint64_t room = LOG_CHUNK_BYTES if w.file else PIPE_CHUNK_BYTES
    w.done = 0
    w.led = w.torn
    room = min(room - w.led, w.until - w.ring.tail)
    if w.torn:
        w.chunk[0] = c"\n"
    w.length = w.led + <uint32_t> logring_take(&w.ring, &w.chunk[w.led], room)
    if w.length == w.led:
        w.length = 0
        return False
    w.torn = False
    return True


cdef void _count(LogWriter* w, uint64_t* number, uint32_t until) noexcept nogil:
    """The lines of the chunk that end between what is done and there; that is done then."""
    cdef const char* at = &w.chunk[w.done]
    cdef const char* end = &w.chunk[until]
    cdef uint64_t lines = 0
    while at < end:
        at = <const char*> memchr(at, c"\n", end - at)
        if at == NULL:
            break
        at += 1
        lines += 1
    if w.done == 0 and until > 0:
        lines -= w.led
    w.done = until
    atomic_add64(number, lines)


cdef void _drop_chunk(LogWriter* w) noexcept nogil:
    _count(w, w.dropped, w.length)


cdef void _drop_all(LogWriter* w) noexcept nogil:
    _drop_chunk(w)
    while _fill(w):
        _drop_chunk(w)


# --- waiting ---------------------------------------------------------------------------------------------------

cdef bint _takes(LogWriter* w, int ms) noexcept nogil:
    """Whether the sink can be written to within that time, or has an error to report."""
    cdef pollfd asked
    asked.fd, asked.events, asked.revents = w.fd, POLLOUT, 0
    return poll(&asked, 1, ms) == 1


cdef void _await_sink(LogWriter* w) noexcept nogil:
    """Until it can be written to, or there is mail."""
    cdef pollfd[2] asked
    asked[0].fd, asked[0].events, asked[0].revents = w.fd, POLLOUT, 0
    asked[1].fd, asked[1].events, asked[1].revents = w.wake, POLLIN, 0
    poll(asked, 2, -1)
    _hush(w)


cdef void _sleep(LogWriter* w) noexcept nogil:
    """Until there are lines, and then until there are many or they have waited long enough."""
    if not _doze(w, 1, -1) and not atomic_loadi32(&w.stop) and atomic_loadi32(&w.mail) == MAIL_NONE:
        _doze(w, w.ring.size // 4, GATHER_MS)
    atomic_exchange64(&w.bell, <uint64_t> -1)


cdef bint _doze(LogWriter* w, uint64_t bell, int ms) noexcept nogil:
    """Until so many bytes are in the ring.  True: that time has passed."""
    cdef pollfd asked
    cdef int ready = 1
    atomic_exchange64(&w.bell, bell)
    atomic_fence()
    if logring_held(&w.ring) < bell:
        asked.fd, asked.events, asked.revents = w.wake, POLLIN, 0
        ready = poll(&asked, 1, ms)
    _hush(w)
    return ready == 0


cdef void _hush(LogWriter* w) noexcept nogil:
    cdef uint64_t many = 0
    read(w.wake, &many, sizeof(many))
