# An address and port in 20 bytes, for what the PROXY protocol says and is told.

from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcmp, memcpy, memset

from .sys cimport (AF_INET, AF_INET6, getpeername, getsockname, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage,
                   socklen_t)

cdef struct Endpoint:
    uint8_t family         # 4, 6, or 0 when nothing is known
    uint16_t port          # in network order
    uint8_t[16] address    # of IPv4 the first four bytes

cdef inline bint endpoint_take(Endpoint* end, const sockaddr_storage* from_) noexcept nogil:
    cdef const sockaddr_in* v4 = <const sockaddr_in*> from_
    cdef const sockaddr_in6* v6 = <const sockaddr_in6*> from_
    memset(end, 0, sizeof(Endpoint))
    if from_.ss_family == AF_INET:
        end.family = 4
        end.port = v4.sin_port
        memcpy(end.address, &v4.sin_addr, 4)
    elif from_.ss_family == AF_INET6:
        end.family = 6
        end.port = v6.sin6_port
        memcpy(end.address, &v6.sin6_addr, 16)
    return end.family != 0

cdef inline bint endpoint_peer(Endpoint* end, int fd) noexcept nogil:
    """Who is at the other end.  False: the connection is gone."""
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    end.family = 0
    return getpeername(fd, <sockaddr*> &address, &length) == 0 and endpoint_take(end, &address)

cdef inline bint endpoint_local(Endpoint* end, int fd) noexcept nogil:
    """Which address of ours it came to."""
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    end.family = 0
    return getsockname(fd, <sockaddr*> &address, &length) == 0 and endpoint_take(end, &address)

cdef inline void endpoint_plain(Endpoint* end) noexcept nogil:
    """::ffff:a.b.c.d, as a balancer before us may call its IPv4 clients, becomes IPv4."""
    cdef uint8_t[16] mapped
    if end.family != 6:
        return
    memset(mapped, 0, 10)
    memset(<uint8_t*> mapped + 10, 0xFF, 2)
    if memcmp(end.address, mapped, 12) == 0:
        end.family = 4
        memcpy(end.address, end.address + 12, 4)

cdef inline bint endpoint_is_any(const Endpoint* end) noexcept nogil:
    """0.0.0.0 or ::, which is nobody's."""
    cdef uint8_t[16] zeros
    memset(zeros, 0, sizeof(zeros))
    return memcmp(end.address, zeros, 4 if end.family == 4 else 16) == 0

cdef inline socklen_t endpoint_give(const Endpoint* end, sockaddr_storage* to) noexcept nogil:
    """The socket address of one of a family that is known; its length."""
    cdef sockaddr_in* v4 = <sockaddr_in*> to
    cdef sockaddr_in6* v6 = <sockaddr_in6*> to
    memset(to, 0, sizeof(sockaddr_storage))
    if end.family == 4:
        v4.sin_family = AF_INET
        v4.sin_port = end.port
        memcpy(&v4.sin_addr, end.address, 4)
        return sizeof(sockaddr_in)
    v6.sin6_family = AF_INET6
    v6.sin6_port = end.port
    memcpy(&v6.sin6_addr, end.address, 16)
    return sizeof(sockaddr_in6)

cdef inline void endpoint_as_v6(const Endpoint* end, uint8_t* out) noexcept nogil:
    """Sixteen bytes; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)."""
    if end.family == 6:
        memcpy(out, end.address, 16)
        return
    memset(out, 0, 10)
    memset(out + 10, 0xFF, 2)
    memcpy(out + 12, end.address, 4)
