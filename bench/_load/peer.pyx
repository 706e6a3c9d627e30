# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See peer.pxd for the contract.

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset, strerror

from fastnlb._core.clock cimport clock_ns
from fastnlb._core.sys cimport (AF_INET, EAGAIN, EINPROGRESS, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLIN, EPOLLOUT,
                                EPOLLRDHUP, IP_BIND_ADDRESS_NO_PORT, IPPROTO_IP, IPPROTO_TCP, MSG_NOSIGNAL, SHUT_WR,
                                SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, TCP_NODELAY, bind, close, connect,
                                epoll_create1, epoll_ctl, epoll_event, epoll_wait, errno, recv, send, setsockopt,
                                shutdown, sockaddr, sockaddr_in, socket)

from .sys cimport EPOLL_CTL_MOD, htobe64, htonl
from .tls cimport SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_MODE, tls

cdef enum:
    CHUNK = 262144              # read or written at a time
    TURNS = 16                  # reads or writes of one connection before the others have theirs
    SOURCES = 249               # 127.0.0.2 to 127.0.0.250
    FIRST_SOURCE = 0x7f000002
    IO_WAIT = -1
    IO_FAULT = -2


# --- what all share --------------------------------------------------------------------------------------------

cdef int talk_make(Talk* talk, const Place* place) except -1:
    """Raises OSError, MemoryError; talk_free gives it back, also a half-made one."""
    memset(talk, 0, sizeof(Talk))
    talk.place = place
    talk.epfd = epoll_create1(EPOLL_CLOEXEC)
    if talk.epfd < 0:
        raise OSError(errno, f"no descriptor for epoll: {strerror(errno).decode()}")
    talk.output = <char*> calloc(1, COMMAND_BYTES + CHUNK)
    talk.input = <char*> malloc(CHUNK)
    if talk.output == NULL or talk.input == NULL:
        raise MemoryError()
    talk.now = clock_ns()
    tls.ERR_clear_error()
    return 0


cdef void talk_free(Talk* talk) noexcept nogil:
    if talk.epfd > 0:
        close(talk.epfd)
    free(talk.output)
    free(talk.input)
    memset(talk, 0, sizeof(Talk))


cdef int talk_wait(Talk* talk, void* events, int timeout_ms) noexcept nogil:
    """Up to EVENTS events; none when a signal came.  Tells the time of this turn."""
    cdef int ready = epoll_wait(talk.epfd, <epoll_event*> events, EVENTS, timeout_ms)
    talk.now = clock_ns()
    return ready if ready > 0 else 0


cdef void talk_command(Talk* talk, char kind, uint64_t length) noexcept nogil:
    """The command of all exchanges that begin from now on; none may be half sent."""
    cdef uint64_t wire = htobe64(length)
    talk.output[0] = kind
    memcpy(talk.output + 1, &wire, sizeof(wire))


cdef Peer* peers_make(uint32_t count) except NULL:
    """Raises MemoryError."""
    cdef Peer* peers = <Peer*> calloc(count, sizeof(Peer))
    cdef uint32_t i
    if peers == NULL:
        raise MemoryError()
    for i in range(count):
        peers[i].fd = -1
        peers[i].number = i
    return peers


cdef void peers_free(Peer* peers, uint32_t count) noexcept nogil:
    cdef uint32_t i
    if peers == NULL:
        return
    for i in range(count):
        peer_close(&peers[i])
        if peers[i].session != NULL:
            tls.SSL_SESSION_free(peers[i].session)
    free(peers)


# --- beginning -------------------------------------------------------------------------------------------------

cdef bint peer_open(Talk* talk, Peer* peer) noexcept nogil:
    """A connection that is about to be made; peer_advance without events takes it on.  False: peer_close it."""
    peer.began = peer.moved = clock_ns()
    peer.stage = STAGE_OPENING
    peer.echoing = False
    peer.fd = socket(talk.place.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if peer.fd < 0 or not _dial(talk, peer.fd):
        return False
    if talk.place.context != NULL and not _dress(talk, peer):
        return False
    talk.opened += 1
    return True


cdef bint _dial(Talk* talk, int fd) noexcept nogil:
    cdef int yes = 1
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
    if talk.place.loopback and not _come_from(fd, FIRST_SOURCE + <uint32_t> (talk.opened % SOURCES)):
        return False
    return connect(fd, <sockaddr*> &talk.place.address, talk.place.length) == 0 or errno == EINPROGRESS


cdef bint _come_from(int fd, uint32_t source) noexcept nogil:
    # One source address has some 28,000 ports, and each closed connection keeps its own for a while.
    cdef sockaddr_in address
    cdef int yes = 1
    memset(&address, 0, sizeof(address))
    address.sin_family = AF_INET
    address.sin_addr.s_addr = htonl(source)
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes))
    return bind(fd, <sockaddr*> &address, sizeof(address)) == 0


cdef bint _dress(Talk* talk, Peer* peer) noexcept nogil:
    peer.ssl = tls.SSL_new(talk.place.context)
    if peer.ssl == NULL or tls.SSL_set_fd(peer.ssl, peer.fd) != 1:
        tls.ERR_clear_error()
        return False
    tls.SSL_set_connect_state(peer.ssl)
    tls.SSL_set_mode(peer.ssl, SSL_MODE)
    if talk.place.name_count:
        tls.SSL_set_tlsext_host_name(peer.ssl, talk.place.names[talk.opened % talk.place.name_count])
    if peer.session != NULL and tls.SSL_set_session(peer.ssl, peer.session) != 1:
        tls.ERR_clear_error()
    return True


cdef void peer_ask(Talk* talk, Peer* peer, bint command, uint64_t to_send, uint64_t to_receive) noexcept nogil:
    """The next exchange: the command of the Talk unless it is left out, then so many bytes there and back."""
    peer.command_left = COMMAND_BYTES if command else 0
    peer.to_send = to_send
    peer.to_receive = to_receive
    peer.moved = talk.now


# --- going on --------------------------------------------------------------------------------------------------

cdef Step peer_advance(Talk* talk, Peer* peer, uint32_t events) noexcept nogil:
    """As far as it goes.  `events` are those of epoll; 0 when the exchange has just been asked for."""
    cdef Step step
    peer.moved = talk.now
    if peer.stage == STAGE_CLOSING:
        return _drain(talk, peer)
    if peer.stage == STAGE_OPENING:
        step = _establish(talk, peer)
        if step != STEP_DONE:
            return step
        peer.stage = STAGE_TALKING
        events = 0
    elif not peer_owes(peer):
        # Idle: nothing but the library's own messages may come.
        return STEP_FAULT if _pull(talk, peer) == STEP_FAULT else STEP_WAIT
    return _exchange(talk, peer, events)


cdef Step _establish(Talk* talk, Peer* peer) noexcept nogil:
    cdef int result, error
    if peer.ssl == NULL:
        # The first send finds out whether the connection was made.
        return STEP_DONE
    result = tls.SSL_do_handshake(peer.ssl)
    if result == 1:
        return STEP_DONE
    error = tls.SSL_get_error(peer.ssl, result)
    if error == SSL_ERROR_WANT_READ:
        return _watch(talk, peer, EPOLLIN)
    if error == SSL_ERROR_WANT_WRITE:
        return _watch(talk, peer, EPOLLIN | EPOLLOUT)
    tls.ERR_clear_error()
    return STEP_FAULT


cdef Step peer_greet(Talk* talk, Peer* peer, bint hello) noexcept nogil:
    """In place of peer_advance: only connect and, with TLS, say a ClientHello.  After DONE an event is an end."""
    cdef Step step
    if send(peer.fd, talk.output, 0, MSG_NOSIGNAL) != 0:
        return _watch(talk, peer, EPOLLOUT) if errno == EAGAIN else STEP_FAULT
    if hello and not _say_hello(talk, peer):
        return STEP_FAULT
    peer.stage = STAGE_TALKING
    step = _watch(talk, peer, EPOLLRDHUP)
    return step if step == STEP_FAULT else STEP_DONE


cdef bint _say_hello(Talk* talk, Peer* peer) noexcept nogil:
    # Through memory: on the socket the library would go on as soon as the server has answered.
    cdef void* reader = tls.BIO_new(tls.BIO_s_mem())
    cdef void* writer = tls.BIO_new(tls.BIO_s_mem())
    cdef int length
    tls.SSL_set_bio(peer.ssl, reader, writer)
    if reader == NULL or writer == NULL:
        return False
    tls.BIO_set_mem_eof_return(reader, -1)
    tls.SSL_do_handshake(peer.ssl)
    tls.ERR_clear_error()
    length = tls.BIO_read(writer, talk.input, CHUNK)
    return length > 0 and send(peer.fd, talk.input, <size_t> length, MSG_NOSIGNAL) == length


cdef Step _exchange(Talk* talk, Peer* peer, uint32_t events) noexcept nogil:
    if (peer.command_left or peer.to_send) and _push(talk, peer) == STEP_FAULT:
        return STEP_FAULT
    if peer.to_receive and events & ~(<uint32_t> EPOLLOUT) and _pull(talk, peer) == STEP_FAULT:
        return STEP_FAULT
    if not peer_owes(peer):
        return STEP_DONE
    return _watch(talk, peer, EPOLLIN | EPOLLOUT if peer.command_left or peer.to_send else EPOLLIN)


cdef Step _push(Talk* talk, Peer* peer) noexcept nogil:
    cdef long moved, of_command
    for _ in range(TURNS):
        moved = _write(peer, talk.output + COMMAND_BYTES - peer.command_left,
                       peer.command_left + min(peer.to_send, <uint64_t> CHUNK))
        if moved <= 0:
            return STEP_WAIT if moved == IO_WAIT else STEP_FAULT
        of_command = min(moved, <long> peer.command_left)
        peer.command_left -= <uint8_t> of_command
        peer.to_send -= <uint64_t> (moved - of_command)
        if peer.command_left == 0 and peer.to_send == 0:
            return STEP_DONE
    return STEP_WAIT


cdef Step _pull(Talk* talk, Peer* peer) noexcept nogil:
    cdef long moved
    for _ in range(TURNS):
        moved = _read(peer, talk.input)
        if moved <= 0:
            return STEP_WAIT if moved == IO_WAIT else STEP_FAULT
        if <uint64_t> moved > peer.to_receive:
            return STEP_FAULT
        peer.to_receive -= <uint64_t> moved
        talk.received += <uint64_t> moved
        if peer.to_receive == 0:
            return STEP_DONE
        if peer.ssl == NULL and moved < CHUNK:
            return STEP_WAIT
    return STEP_WAIT


cdef Step _watch(Talk* talk, Peer* peer, uint32_t interest) noexcept nogil:
    cdef epoll_event event
    if peer.interest == interest:
        return STEP_WAIT
    event.events = interest
    event.data.u64 = peer.number
    if epoll_ctl(talk.epfd, EPOLL_CTL_MOD if peer.interest else EPOLL_CTL_ADD, peer.fd, &event) != 0:
        return STEP_FAULT
    peer.interest = interest
    return STEP_WAIT


# --- bytes -----------------------------------------------------------------------------------------------------

cdef long _write(Peer* peer, char* data, size_t length) noexcept nogil:
    """Bytes sent, or IO_WAIT, or IO_FAULT."""
    cdef long moved
    if peer.ssl != NULL:
        moved = tls.SSL_write(peer.ssl, data, <int> length)
        return moved if moved > 0 else _trouble(peer, <int> moved)
    moved = send(peer.fd, data, length, MSG_NOSIGNAL)
    if moved >= 0:
        return moved
    return IO_WAIT if errno == EAGAIN else IO_FAULT


cdef long _read(Peer* peer, char* data) noexcept nogil:
    """Bytes received, at most CHUNK of them; 0 at the end of a plain stream; or IO_WAIT, or IO_FAULT."""
    cdef long moved
    if peer.ssl != NULL:
        moved = tls.SSL_read(peer.ssl, data, CHUNK)
        return moved if moved > 0 else _trouble(peer, <int> moved)
    moved = recv(peer.fd, data, CHUNK, 0)
    if moved >= 0:
        return moved
    return IO_WAIT if errno == EAGAIN else IO_FAULT


cdef long _trouble(Peer* peer, int result) noexcept nogil:
    cdef int error = tls.SSL_get_error(peer.ssl, result)
    if error == SSL_ERROR_WANT_READ or error == SSL_ERROR_WANT_WRITE:
        return IO_WAIT
    tls.ERR_clear_error()
    return IO_FAULT


# --- ending ----------------------------------------------------------------------------------------------------

cdef bint peer_keep_session(Peer* peer) noexcept nogil:
    """Keep the newest session for the next connection of this peer.  Says whether this one was resumed."""
    cdef void* newest = tls.SSL_get1_session(peer.ssl)
    if newest != NULL:
        if peer.session != NULL:
            tls.SSL_SESSION_free(peer.session)
        peer.session = newest
    return tls.SSL_session_reused(peer.ssl) == 1


cdef void peer_end(Talk* talk, Peer* peer) noexcept nogil:
    """close_notify and FIN; peer_advance says DONE when the other side has ended too."""
    if peer.ssl != NULL:
        # Without it the library would throw the session away.
        tls.SSL_shutdown(peer.ssl)
        tls.ERR_clear_error()
    shutdown(peer.fd, SHUT_WR)
    peer.stage = STAGE_CLOSING
    _watch(talk, peer, EPOLLIN)


cdef Step _drain(Talk* talk, Peer* peer) noexcept nogil:
    # What was asked for has come, so that only the end matters: a close_notify is not looked at, a reset is an end.
    cdef long moved
    for _ in range(TURNS):
        moved = recv(peer.fd, talk.input, CHUNK, 0)
        if moved == 0:
            return STEP_DONE
        if moved < 0:
            return _watch(talk, peer, EPOLLIN) if errno == EAGAIN else STEP_DONE
    return STEP_WAIT


cdef void peer_close(Peer* peer) noexcept nogil:
    if peer.ssl != NULL:
        tls.SSL_free(peer.ssl)
        peer.ssl = NULL
    if peer.fd >= 0:
        close(peer.fd)
        peer.fd = -1
    peer.interest = 0
    peer.stage = STAGE_NONE
    peer.command_left = 0
    peer.to_send = peer.to_receive = 0
