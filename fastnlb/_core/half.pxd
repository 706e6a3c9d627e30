# The ways one half of a connection ends.  Descriptors of connections are closed here and nowhere else.

from libc.stdint cimport uint8_t

from .counters cimport N_DESCRIPTORS
from .defs cimport Core, Half
from .sys cimport (EAGAIN, EINTR, IPPROTO_TCP, SIOCOUTQ, SOL_SOCKET, SO_KEEPALIVE, SO_LINGER, TCP_CLOSE, TCP_INFO,
                   TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY, close, errno, getsockopt, ioctl, linger, recv,
                   setsockopt, socklen_t, ssize_t)

cdef enum:
    DISCARDS_PER_CALL = 16     # so that a peer that never stops sending cannot hold the loop
    KEEPALIVE_IDLE = 60        # seconds: a peer that is gone shows long before the longest idle timeout
    KEEPALIVE_INTERVAL = 15

cdef inline void half_adopt(Core* k, Half* half, int fd) noexcept nogil:
    """The half owns the descriptor from here on."""
    half.fd = fd
    k.descriptors += 1
    k.count[<int> N_DESCRIPTORS] += 1

cdef inline void half_close(Core* k, Half* half) noexcept nogil:
    if half.fd < 0:
        return
    # EINTR included: Linux has freed the descriptor either way.
    close(half.fd)
    half.fd = -1
    k.descriptors -= 1
    k.count[<int> N_DESCRIPTORS] -= 1

cdef inline void half_keep_alive(Half* half) noexcept nogil:
    """Have the kernel probe a silent peer; the number of probes is the system's.  Nothing on a unix socket."""
    cdef int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL
    setsockopt(half.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on))
    setsockopt(half.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle))
    setsockopt(half.fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval))

cdef inline void half_push_last(Half* half) noexcept nogil:
    """No end of stream follows after all: have the kernel send what it holds back for it, and nothing more."""
    cdef int on = 1
    if half.last:
        half.last = 0
        setsockopt(half.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))    # which it is, but setting it pushes

cdef inline void _linger_not(int fd) noexcept nogil:
    """The close of this descriptor sends an RST and discards what was not yet sent."""
    cdef linger hard
    hard.l_onoff = 1
    hard.l_linger = 0
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard))

cdef inline void half_reset(Core* k, Half* half) noexcept nogil:
    """Close with RST: the peer learns that the stream did not end cleanly.  Discards what was not yet sent."""
    if half.fd >= 0:
        _linger_not(half.fd)
        half_close(k, half)

cdef inline void descriptor_reset(int fd) noexcept nogil:
    """The same for one that was accepted and belongs to no connection."""
    _linger_not(fd)
    close(fd)

cdef inline bint half_has_unsent(Half* half) noexcept nogil:
    """Whether the kernel holds bytes the peer has not acknowledged and still may."""
    cdef int bytes = 0
    cdef uint8_t state = 0     # the first byte of struct tcp_info
    cdef socklen_t length = sizeof(state)
    if ioctl(half.fd, SIOCOUTQ, &bytes) != 0 or bytes <= 0:
        return False
    # A connection that was reset goes on counting what it had not delivered.
    return getsockopt(half.fd, IPPROTO_TCP, TCP_INFO, &state, &length) == 0 and state != TCP_CLOSE

cdef inline bint half_discard(Core* k, Half* half) noexcept nogil:
    """Read and throw away.  True once the peer's stream has ended; half.readable says whether there may be more."""
    cdef int left = DISCARDS_PER_CALL
    cdef ssize_t n
    while left > 0:
        left -= 1
        n = recv(half.fd, k.scratch, sizeof(k.scratch), 0)
        if n == 0:
            half.readable = 0
            return True
        if n < 0 and errno != EINTR:
            half.readable = 0
            return errno != EAGAIN
    return False
