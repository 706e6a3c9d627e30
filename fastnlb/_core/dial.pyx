# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See dial.pxd for the contract.

from libc.string cimport memcmp

from .account cimport account_leave_server, account_server
from .asclient cimport asclient_bind, asclient_find
from .board cimport atomic_add32, atomic_load32, atomic_store32
from .counters cimport (N_CONNECTS, N_CONNECTS_FAILED, N_PRESERVE_FAILED, N_PRESERVE_OTHER_PORT, S_CONNECTS,
                        S_FAILED_NOT_BEGUN, S_FAILED_REFUSED)
from .defs cimport STEP_FAULT, STEP_MOVED, Conn, Core, Server, Step
from .endpoint cimport Endpoint, endpoint_local, endpoint_peer, endpoint_take
from .half cimport half_adopt, half_close, half_reset
from .pick cimport pick_server
from .plain cimport plain_xport
from .poller cimport POLL_CONN, poll_add_conn, poll_key
from .sys cimport (AF_INET, AF_UNIX, EADDRNOTAVAIL, EAGAIN, EINPROGRESS, EINTR, ENOMEM, IPPROTO_TCP, MSG_PEEK,
                   SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, SO_ERROR, TCP_NODELAY, TCP_QUICKACK, connect,
                   errno, getsockopt, recv, setsockopt, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socket,
                   socklen_t, ssize_t)
from .tally cimport tally_connect
from .tlsbio cimport bio_consumed


cdef Step dial_next(Core* k, Conn* c) noexcept nogil:
    """MOVED: a connection attempt is under way.  FAULT: no server is left to try."""
    cdef Server* server
    half_close(k, &c.server_half)
    account_leave_server(k, c)
    while pick_server(k, c):
        server = &c.table.groups[c.listener.group].servers[c.server]
        account_server(k, c, server)
        if _start(k, c, server):
            return STEP_MOVED
        k.count[<int> N_CONNECTS_FAILED] += 1
        server.numbers[<int> S_FAILED_NOT_BEGUN] += 1
        half_close(k, &c.server_half)
        account_leave_server(k, c)
    return STEP_FAULT


cdef bint _start(Core* k, Conn* c, Server* server) noexcept nogil:
    if c.table.groups[c.listener.group].preserve:
        return _start_as_client(k, c, server)
    return _open(k, c, server, NULL) == 0


cdef bint _start_as_client(Core* k, Conn* c, Server* server) noexcept nogil:
    """From the client's own address and port; when that pair is taken, from another port of the address."""
    cdef Endpoint client
    cdef int error = EADDRNOTAVAIL
    if asclient_find(c, server.family, &client):
        error = _open(k, c, server, &client)
        if error == EADDRNOTAVAIL:
            half_close(k, &c.server_half)
            client.port = 0
            error = _open(k, c, server, &client)
            k.count[<int> N_PRESERVE_OTHER_PORT] += error == 0
    k.count[<int> N_PRESERVE_FAILED] += error == EADDRNOTAVAIL
    return error == 0


cdef int _open(Core* k, Conn* c, Server* server, const Endpoint* client) noexcept nogil:
    """Begin a connection from `client`, NULL for our own address; 0, or the errno of what failed."""
    cdef const sockaddr_storage* to = &server.address
    cdef sockaddr_storage address
    cdef int fd = socket(server.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    cdef int error, on = 1, off = 0
    if fd < 0:
        return errno
    half_adopt(k, &c.server_half, fd)
    c.server_half.xport = plain_xport()
    c.server_half.readable = 0
    c.server_half.writable = 0
    c.server_half.exhaust = 0
    c.client.last = 0          # whatever a server before this one has said
    if server.family != AF_UNIX:
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
        if _has_bytes_ready(k, c):
            # The last packet of the TCP handshake takes them along: one packet less, and the server wakes once.
            setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off))
    if server.any_port:
        if not _on_clients_port(c, server, &address):
            return EADDRNOTAVAIL
        to = &address
    if client != NULL and not asclient_bind(fd, client):
        return EADDRNOTAVAIL
    if connect(fd, <sockaddr*> to, server.length) != 0 and errno != EINPROGRESS:
        error = errno
        # That this machine is out of ports is not the server's failure.
        if error != EADDRNOTAVAIL:
            _blame(server)
        return error
    return 0 if poll_add_conn(k.epfd, fd, poll_key(POLL_CONN, True, c.generation, c.slot)) else ENOMEM


cdef bint _has_bytes_ready(Core* k, Conn* c) noexcept nogil:
    """Whether the server will be sent something as soon as it accepts, as far as can be said now."""
    cdef char byte = 0
    cdef ssize_t n
    if c.listener.proxy != NULL:
        return True
    if c.client.ssl != NULL:
        return not bio_consumed(k, &c.client)
    n = recv(c.client.fd, &byte, 1, MSG_PEEK)
    if n < 0 and errno != EAGAIN and errno != EINTR:
        # That was the reset, which a later read would show as an end of stream.
        c.client.spoiled = 1
    return n == 1


cdef bint _on_clients_port(const Conn* c, const Server* server, sockaddr_storage* address) noexcept nogil:
    """The server's address with the port that the client's connection came to.

    That is what the socket says, also when a PROXY header said otherwise: the range is of ports of this machine.
    """
    cdef Endpoint here
    if not endpoint_local(&here, c.client.fd):
        return False
    address[0] = server.address
    if server.family == AF_INET:
        (<sockaddr_in*> address).sin_port = here.port
    else:
        (<sockaddr_in6*> address).sin6_port = here.port
    return True


cdef bint dial_succeeded(Core* k, Conn* c) noexcept nogil:
    """After the descriptor became writable or hung up: whether the server accepted."""
    cdef Server* server = &c.table.groups[c.listener.group].servers[c.server]
    cdef int error = 0
    cdef socklen_t length = sizeof(error)
    if c.server_half.exhaust and (getsockopt(c.server_half.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 or error):
        dial_failed(k, c, S_FAILED_REFUSED)
        return False
    if _is_ourselves(c.server_half.fd, server):
        half_reset(k, &c.server_half)    # which keeps the port from the server for no longer than this
        dial_failed(k, c, S_FAILED_REFUSED)
        return False
    # Looked at first: a line that every worker writes to is a line that every worker waits for.
    if server.cell != NULL and atomic_load32(&server.cell.failures) != 0:
        atomic_store32(&server.cell.failures, 0)
    k.count[<int> N_CONNECTS] += 1
    server.numbers[<int> S_CONNECTS] += 1
    tally_connect(c)
    return True


cdef bint _is_ourselves(int fd, const Server* server) noexcept nogil:
    """Where nobody listens and the kernel gave us that very port, TCP connects the socket to itself."""
    cdef Endpoint here, there
    if not endpoint_take(&there, &server.address) or not endpoint_local(&here, fd):
        return False
    if memcmp(here.address, there.address, sizeof(here.address)) != 0:
        return False           # on another machine, as most are
    return here.port == there.port or (server.any_port and endpoint_peer(&there, fd) and here.port == there.port)


cdef void dial_failed(Core* k, Conn* c, int number) noexcept nogil:
    """The attempt under way was refused, or took too long; `number` is where that is counted for the server."""
    cdef Server* server = &c.table.groups[c.listener.group].servers[c.server]
    k.count[<int> N_CONNECTS_FAILED] += 1
    server.numbers[number] += 1
    _blame(server)


cdef void _blame(Server* server) noexcept nogil:
    if server.cell != NULL:
        atomic_add32(&server.cell.failures, 1)
