# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See proxyread.pxd for the contract.

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcmp

from .counters cimport L_PROXY_UNTRUSTED, N_PROXY_UNTRUSTED
from .defs cimport STEP_EOF, STEP_FAULT, STEP_MOVED, STEP_WANT_READ, Conn, Core, Half, Listener, Network, Step
from .endpoint cimport Endpoint, endpoint_as_v6, endpoint_peer
from .proxyin cimport PROXY_IN_BYTES, PROXY_IN_MALFORMED, PROXY_IN_MORE, ProxyHeader, proxyin_parse
from .sys cimport (EAGAIN, EINTR, IPPROTO_TCP, MSG_PEEK, TCP_ESTABLISHED, TCP_INFO, errno, getsockopt, recv,
                   socklen_t, ssize_t)


cdef bint proxyread_trusts(Core* k, const Listener* listener, int fd) noexcept nogil:
    """Whether the peer has to begin with a header.  One that is gone already has to: what it left is no client's."""
    cdef Endpoint peer
    cdef uint8_t[16] address
    cdef uint32_t i
    if listener.trusted_count == 0:
        return False
    if not endpoint_peer(&peer, fd):
        return True
    endpoint_as_v6(&peer, address)
    for i in range(listener.trusted_count):
        if _is_in(address, &listener.trusted[i]):
            return True
    k.count[<int> N_PROXY_UNTRUSTED] += 1
    listener.numbers[<int> L_PROXY_UNTRUSTED] += 1
    return False


cdef bint _is_in(const uint8_t* address, const Network* network) noexcept nogil:
    cdef int whole = network.bits // 8
    cdef int rest = network.bits % 8
    if memcmp(address, network.address, whole) != 0:
        return False
    return rest == 0 or (address[whole] ^ network.address[whole]) >> (8 - rest) == 0


cdef Step proxyread_step(Core* k, Conn* c) noexcept nogil:
    """MOVED: the header is taken and says who the client is.  EOF: the peer left before that.  FAULT: malformed."""
    cdef ProxyHeader header
    cdef Half* half = &c.client
    # Asked first: what came before the end of the stream is there by now.
    cdef bint ended = _has_ended(half)
    cdef ssize_t there
    cdef int32_t size
    if not half.readable:
        return STEP_WANT_READ
    there = _receive(half, k.scratch, PROXY_IN_BYTES, MSG_PEEK)
    if there <= 0:
        half.readable = 0
        return STEP_WANT_READ if there < 0 and errno == EAGAIN else STEP_EOF
    size = proxyin_parse(<uint8_t*> k.scratch, <uint32_t> there, &header)
    if size == PROXY_IN_MALFORMED:
        return STEP_FAULT
    if size == PROXY_IN_MORE:
        half.readable = 0
        return STEP_EOF if ended else STEP_WANT_READ
    if _receive(half, k.scratch, <size_t> size, 0) != size:
        return STEP_EOF
    half.readable = there > size or half.exhaust
    c.source = header.source
    c.target = header.target
    return STEP_MOVED


cdef ssize_t _receive(Half* half, char* data, size_t room, int flags) noexcept nogil:
    cdef ssize_t n = recv(half.fd, data, room, flags)
    while n < 0 and errno == EINTR:
        n = recv(half.fd, data, room, flags)
    return n


cdef bint _has_ended(Half* half) noexcept nogil:
    """Whether the peer sends nothing more."""
    cdef uint8_t state = 0     # the first byte of struct tcp_info
    cdef socklen_t length = sizeof(state)
    if not half.exhaust:
        return False
    return getsockopt(half.fd, IPPROTO_TCP, TCP_INFO, &state, &length) != 0 or state != TCP_ESTABLISHED
