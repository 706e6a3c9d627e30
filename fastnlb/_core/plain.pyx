# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See plain.pxd for the contract.

from .defs cimport (FAULT_IO, FAULT_RESET, STEP_EOF, STEP_FAULT, STEP_MOVED, STEP_WANT_READ, STEP_WANT_WRITE, Core,
                    Half, Step, Xport)
from .pipes cimport PIPE_BYTES, Pipe
from .sys cimport (EAGAIN, ECONNRESET, EINTR, EINVAL, EPIPE, MSG_MORE, MSG_NOSIGNAL, SHUT_WR, SPLICE_F_NONBLOCK,
                   errno, recv, send, shutdown, splice, ssize_t)


cdef Step plain_pull(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil:
    cdef ssize_t n
    if not half.readable:
        return STEP_WANT_READ
    while True:
        n = recv(half.fd, data, room, 0)
        if n > 0:
            # Edge-triggered: what arrives after a short read raises a new event, but an end of stream that was
            # already there does not, hence exhaust.
            if <size_t> n < room and not half.exhaust:
                half.readable = 0
            moved[0] = <size_t> n
            return STEP_MOVED
        if n == 0:
            half.finished = 1
            if half.spoiled:
                half.fault = FAULT_RESET
                return STEP_FAULT
            return STEP_EOF
        if errno == EAGAIN:
            half.readable = 0
            return STEP_WANT_READ
        if errno != EINTR:
            return _read_failed(half)


cdef Step _read_failed(Half* half) noexcept nogil:
    half.fault = FAULT_RESET if errno == ECONNRESET or errno == EPIPE else FAULT_IO
    return STEP_FAULT


cdef Step plain_push(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    cdef ssize_t n
    # The end of the stream travels in the same packet.
    cdef int flags = MSG_NOSIGNAL | MSG_MORE if half.last or half.notified else MSG_NOSIGNAL
    if not half.writable:
        return STEP_WANT_WRITE
    while True:
        n = send(half.fd, data, length, flags)
        if n >= 0:
            if <size_t> n < length:
                half.writable = 0
            moved[0] = <size_t> n
            return STEP_MOVED
        if errno == EAGAIN:
            half.writable = 0
            return STEP_WANT_WRITE
        if errno != EINTR:
            return _write_failed(half)


cdef Step _write_failed(Half* half) noexcept nogil:
    # EPIPE follows a clean end of stream; any other error consumed the reset that the next read would otherwise have
    # shown as an end of stream.
    half.lost = 1
    if errno != EPIPE:
        half.spoiled = 1
    return STEP_FAULT


cdef Step plain_draw(Core* k, Half* half, Pipe* pipe, size_t* moved) noexcept nogil:
    cdef ssize_t n
    if not half.readable:
        return STEP_WANT_READ
    while True:
        n = splice(half.fd, NULL, pipe.sink, NULL, PIPE_BYTES, SPLICE_F_NONBLOCK)
        if n > 0:
            # Less than was asked for: the slots of the pipe are taken, or there is no more.  Only EAGAIN tells.
            moved[0] = <size_t> n
            return STEP_MOVED
        if n == 0 or errno == EINVAL:
            # An end of stream, urgent data, or a kind of socket that cannot be spliced.
            half.exhaust = 1
            return STEP_MOVED
        if errno == EAGAIN:
            half.readable = 0
            return STEP_WANT_READ
        if errno != EINTR:
            return _read_failed(half)


cdef Step plain_pour(Core* k, Half* half, Pipe* pipe, size_t* moved) noexcept nogil:
    cdef ssize_t n
    if not half.writable:
        return STEP_WANT_WRITE
    while True:
        # Exactly what is there: asked for more, the kernel would wait for it before it sends the last packet.
        n = splice(pipe.source, NULL, half.fd, NULL, pipe.held, SPLICE_F_NONBLOCK)
        if n > 0:
            moved[0] = <size_t> n
            return STEP_MOVED
        if n < 0 and errno == EAGAIN:
            half.writable = 0
            return STEP_WANT_WRITE
        if n == 0 or errno != EINTR:
            return _write_failed(half)


cdef Step plain_flush(Core* k, Half* half) noexcept nogil:
    return STEP_MOVED


cdef Step plain_shut(Core* k, Half* half) noexcept nogil:
    if not half.closes:
        shutdown(half.fd, SHUT_WR)
    half.shut = 1
    return STEP_MOVED


cdef Xport _plain
_plain.pull = plain_pull
_plain.push = plain_push
_plain.flush = plain_flush
_plain.shut = plain_shut
_plain.draw = plain_draw
_plain.pour = plain_pour


cdef const Xport* plain_xport() noexcept nogil:
    return &_plain
