# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# The server behind every proxy, as cheap as one thread can be: it answers commands of nine bytes.
#
#   E n    the next n bytes come back          then the next command
#   D n    n zero bytes are sent               then the next command
#   U n    n bytes are read, then `u` is sent  then the next command
#
# n is 64 bits, the highest byte first.  After the client's end what is owed is still sent; anything else closes.  A
# connection is either reading (nothing waits to be sent) or sending, so that no client makes it hold more than HELD.

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset, strerror

from fastnlb._core.clock cimport clock_ns
from fastnlb._core.sys cimport (AF_INET, EAGAIN, EMFILE, ENFILE, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL,
                                EPOLLIN, EPOLLOUT, IPPROTO_TCP, MSG_NOSIGNAL, SO_REUSEADDR, SOCK_CLOEXEC,
                                SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, accept4, bind, close,
                                epoll_create1, epoll_ctl, epoll_event, epoll_wait, errno, getsockname, htons,
                                inet_pton, recv, send, setsockopt, sockaddr, sockaddr_in, socket, socklen_t)

from .sys cimport EPOLL_CTL_MOD, be64toh, listen, ntohs

cdef enum:
    COMMAND_BYTES = 9
    HELD = 262144               # read or written at a time
    TURNS = 32                  # steps of one connection before the others have theirs
    EVENTS = 256
    BACKLOG = 4096
    LOOK_MS = 200               # between two looks at Python's signals

cdef enum Next:
    NEXT_GO                     # something moved
    NEXT_WAIT                   # for the socket
    NEXT_END

cdef struct Client:
    int fd
    uint32_t interest
    uint8_t kind                # of the command under way: E, D, U; u: the answer to it is owed; 0: none
    uint8_t command_bytes       # of the next command, so far
    bint emptied                # in this visit the socket gave all it had
    char[COMMAND_BYTES] command
    uint64_t left               # bytes to read or to send for the command under way
    char* input                 # what was read: the server's buffer during a visit, else `kept`
    size_t at                   # of `input` is done with
    size_t end
    char* kept                  # owned; NULL until something had to be kept between two visits

cdef struct Server:
    int epfd
    int listener
    bint accepting
    char* zeros
    char* input


cdef class Origin:
    """Listens on an IPv4 address in digits; port 0: any, `port` says which.  Raises OSError, ValueError."""

    cdef Server server
    cdef readonly int port

    def __cinit__(self):
        memset(&self.server, 0, sizeof(Server))
        self.server.epfd = self.server.listener = -1

    def __init__(self, str address, int port):
        self.port = _listen(&self.server, address, port)
        self.server.zeros = <char*> calloc(1, HELD)
        self.server.input = <char*> malloc(HELD)
        if self.server.zeros == NULL or self.server.input == NULL:
            raise MemoryError()

    def __dealloc__(self):
        if self.server.listener >= 0:
            close(self.server.listener)
        if self.server.epfd >= 0:
            close(self.server.epfd)
        free(self.server.zeros)
        free(self.server.input)

    def serve(self):
        """Until the handler of a signal raises; then the process is expected to end."""
        while True:
            with nogil:
                _serve(&self.server)
            PyErr_CheckSignals()


cdef int _listen(Server* server, str address, int port) except -1:
    cdef sockaddr_in place
    cdef socklen_t length = sizeof(place)
    cdef int yes = 1
    memset(&place, 0, sizeof(place))
    place.sin_family = AF_INET
    place.sin_port = htons(<unsigned short> port)
    if not 0 <= port < 65536 or inet_pton(AF_INET, address.encode("ascii", "replace"), &place.sin_addr) != 1:
        raise ValueError(f"{address}:{port}: must be an IPv4 address in digits and a port")
    server.epfd = epoll_create1(EPOLL_CLOEXEC)
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes))
    # Accepted sockets inherit it.
    setsockopt(server.listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
    if bind(server.listener, <sockaddr*> &place, length) != 0 or listen(server.listener, BACKLOG) != 0:
        raise OSError(errno, f"cannot listen on {address}:{port}: {strerror(errno).decode()}")
    if not _accept_on(server) or getsockname(server.listener, <sockaddr*> &place, &length) != 0:
        raise OSError(errno, f"cannot watch {address}:{port}: {strerror(errno).decode()}")
    return ntohs(place.sin_port)


cdef bint _accept_on(Server* server) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = 0
    server.accepting = epoll_ctl(server.epfd, EPOLL_CTL_ADD, server.listener, &event) == 0
    return server.accepting


cdef void _serve(Server* server) noexcept nogil:
    """Until it is time to look at signals."""
    cdef epoll_event[EVENTS] events
    cdef uint64_t pause = clock_ns() + <uint64_t> LOOK_MS * 1000000
    cdef int ready, i
    while clock_ns() < pause:
        ready = epoll_wait(server.epfd, events, EVENTS, LOOK_MS)
        for i in range(ready):
            if events[i].data.u64 == 0:
                _accept(server)
            else:
                _visit(server, <Client*> <size_t> events[i].data.u64)


# --- clients ---------------------------------------------------------------------------------------------------

cdef void _accept(Server* server) noexcept nogil:
    cdef Client* client
    cdef int fd
    while True:
        fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd < 0:
            break
        client = <Client*> calloc(1, sizeof(Client))
        if client == NULL:
            close(fd)
            return
        client.fd = fd
        _watch(server, client, EPOLLIN)
    if errno == EMFILE or errno == ENFILE:
        # Until one closes, or the listener would wake the loop for ever.
        epoll_ctl(server.epfd, EPOLL_CTL_DEL, server.listener, NULL)
        server.accepting = False


cdef void _forget(Server* server, Client* client) noexcept nogil:
    close(client.fd)
    free(client.kept)
    free(client)
    if not server.accepting:
        _accept_on(server)


cdef void _watch(Server* server, Client* client, uint32_t interest) noexcept nogil:
    cdef epoll_event event
    if client.interest == interest:
        return
    event.events = interest
    event.data.u64 = <uint64_t> <size_t> client
    epoll_ctl(server.epfd, EPOLL_CTL_MOD if client.interest else EPOLL_CTL_ADD, client.fd, &event)
    client.interest = interest


cdef void _visit(Server* server, Client* client) noexcept nogil:
    cdef Next next = NEXT_GO
    cdef int turn = 0
    client.emptied = False
    while next == NEXT_GO and turn < TURNS:
        next = _step(server, client)
        turn += 1
    if next == NEXT_END or not _keep(server, client):
        _forget(server, client)
    else:
        _watch(server, client, EPOLLOUT if _busy(client) else EPOLLIN)


cdef bint _busy(const Client* client) noexcept nogil:
    """Whether there is something to do without reading: then the socket is waited for to take it."""
    return client.at < client.end or client.kind == c"D" or client.kind == c"u"


cdef bint _keep(Server* server, Client* client) noexcept nogil:
    """What was read and not done with stays for the next visit."""
    cdef size_t rest = client.end - client.at
    if rest == 0 or client.input == client.kept:
        return True
    if client.kept == NULL:
        client.kept = <char*> malloc(HELD)
        if client.kept == NULL:
            return False
    memcpy(client.kept, client.input + client.at, rest)
    client.input = client.kept
    client.at = 0
    client.end = rest
    return True


# --- commands --------------------------------------------------------------------------------------------------

cdef Next _step(Server* server, Client* client) noexcept nogil:
    if client.kind == c"D":
        return _send(client, server.zeros, min(client.left, <uint64_t> HELD))
    if client.kind == c"u":
        return _send(client, b"u", 1)
    if client.at == client.end:
        return _receive(server, client)
    if client.kind == c"E":
        return _echo(client)
    if client.kind == c"U":
        return _swallow(client)
    return _command(client)


cdef Next _receive(Server* server, Client* client) noexcept nogil:
    cdef long moved
    if client.emptied:
        return NEXT_WAIT
    moved = recv(client.fd, server.input, HELD, 0)
    if moved <= 0:
        return NEXT_WAIT if moved < 0 and errno == EAGAIN else NEXT_END
    client.emptied = moved < HELD
    client.input = server.input
    client.at = 0
    client.end = <size_t> moved
    return NEXT_GO


cdef Next _command(Client* client) noexcept nogil:
    cdef size_t some = min(<size_t> (COMMAND_BYTES - client.command_bytes), client.end - client.at)
    memcpy(client.command + client.command_bytes, client.input + client.at, some)
    client.command_bytes += <uint8_t> some
    client.at += some
    if client.command_bytes < COMMAND_BYTES:
        return NEXT_GO
    client.command_bytes = 0
    memcpy(&client.left, client.command + 1, sizeof(client.left))
    client.left = be64toh(client.left)
    client.kind = <uint8_t> client.command[0]
    if client.kind == c"U":
        return _swallow(client)
    if client.kind != c"E" and client.kind != c"D":
        return NEXT_END
    if client.left == 0:
        client.kind = 0
    return NEXT_GO


cdef Next _send(Client* client, const char* data, size_t length) noexcept nogil:
    """Of what is owed."""
    cdef long moved = send(client.fd, data, length, MSG_NOSIGNAL)
    if moved < 0:
        return NEXT_WAIT if errno == EAGAIN else NEXT_END
    client.left -= <uint64_t> moved
    if client.left == 0:
        client.kind = 0
    return NEXT_GO


cdef Next _echo(Client* client) noexcept nogil:
    cdef uint64_t before = client.left
    cdef Next after = _send(client, client.input + client.at, min(before, <uint64_t> (client.end - client.at)))
    client.at += <size_t> (before - client.left)
    return after


cdef Next _swallow(Client* client) noexcept nogil:
    cdef size_t some = min(client.left, <uint64_t> (client.end - client.at))
    client.at += some
    client.left -= some
    if client.left == 0:
        client.kind = c"u"
        client.left = 1
    return NEXT_GO
