# epoll, and what travels in an event's 64 bits.
#
#   bits 63..62  kind: connection, acceptor, watched descriptor
#   bit  61      side of a connection: 0 client, 1 server
#   bits 60..32  generation of the slot (29 bits), so that an event for an earlier tenant is ignored
#   bits 31..0   slot, acceptor index, or descriptor
#
# Connections are edge-triggered with one epoll_ctl each in their life: what epoll promised is remembered in
# Half.readable and Half.writable until an attempt finds otherwise.  Acceptors and watched descriptors are
# level-triggered, so that a batch cut short is simply reported again.

from libc.stdint cimport uint32_t, uint64_t

from .sys cimport (EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, epoll_ctl,
                   epoll_event)

cdef enum PollKind:
    POLL_CONN
    POLL_ACCEPTOR
    POLL_WATCH

cdef enum:
    POLL_GENERATION_BITS = 29

cdef inline uint64_t poll_key(PollKind kind, bint side, uint32_t generation, uint32_t number) noexcept nogil:
    cdef uint64_t tenant = generation & ((<uint64_t> 1 << POLL_GENERATION_BITS) - 1)
    return (<uint64_t> kind << 62) | (<uint64_t> side << 61) | (tenant << 32) | number

cdef inline PollKind poll_kind(uint64_t key) noexcept nogil:
    return <PollKind> (key >> 62)

cdef inline bint poll_side(uint64_t key) noexcept nogil:
    return (key >> 61) & 1

cdef inline uint32_t poll_number(uint64_t key) noexcept nogil:
    return <uint32_t> key

cdef inline bint poll_is_current(uint64_t key, uint32_t generation) noexcept nogil:
    cdef uint64_t mask = (<uint64_t> 1 << POLL_GENERATION_BITS) - 1
    return ((key >> 32) & mask) == (generation & mask)

cdef inline bint poll_add_conn(int epfd, int fd, uint64_t key) noexcept nogil:
    cdef epoll_event event
    # EPOLLPRI: a read stops at urgent data, and no other event says that there is more behind it.
    event.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | <uint32_t> EPOLLET
    event.data.u64 = key
    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0

cdef inline bint poll_add_level(int epfd, int fd, uint64_t key) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = key
    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0

cdef inline void poll_remove(int epfd, int fd) noexcept nogil:
    # Needed although the descriptor is about to be closed: the master holds the same open socket, and epoll
    # forgets a descriptor only when the last copy of it is gone.
    cdef epoll_event event
    epoll_ctl(epfd, EPOLL_CTL_DEL, fd, &event)
