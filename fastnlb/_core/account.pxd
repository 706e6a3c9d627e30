# How a connection is counted: its handshake, and its end in exactly one closed_* number.

from libc.stdint cimport uint64_t

from .board cimport board_count
from .counters cimport (L_ACCEPTED, L_BYTES_DOWN, L_BYTES_UP, L_CLOSED_HANDSHAKE, L_CONNECTIONS, L_FAILED_ABORTED,
                        L_FAILED_SHED, L_FAILED_TIMED_OUT, L_PROXY_ABORTED, L_PROXY_ACCEPTED, L_PROXY_MALFORMED,
                        L_PROXY_TIMED_OUT, N_ACCEPTED, N_BYTES_DOWN, N_BYTES_UP, N_CLIENT_CERTIFICATES_MISSING,
                        N_CLIENT_CERTIFICATES_VERIFIED, N_CLOSED_CLEAN, N_CLOSED_DRAINED, N_CLOSED_HANDSHAKE,
                        N_CLOSED_IDLE, N_CLOSED_MEMORY, N_CLOSED_PROXY, N_CLOSED_REFUSED, N_CLOSED_RESET,
                        N_CLOSED_SHUTDOWN, N_CLOSED_TLS, N_CONNECTIONS, N_HANDSHAKES, N_HANDSHAKES_FAILED,
                        N_HANDSHAKES_RESUMED, N_HANDSHAKES_TLS12, N_HANDSHAKES_TLS13, N_PROXY_ABORTED,
                        N_PROXY_HEADERS, N_PROXY_MALFORMED, S_CONNECTIONS)
from .defs cimport (FAULT_ABORTED, FAULT_CONNECT, FAULT_CONNECT_TIMEOUT, FAULT_DRAIN, FAULT_HANDSHAKE,
                    FAULT_HANDSHAKE_TIMEOUT, FAULT_IDLE, FAULT_MEMORY, FAULT_NONE, FAULT_NO_SERVER, FAULT_PROXY,
                    FAULT_PROXY_TIMEOUT, FAULT_SHED, FAULT_SHUTDOWN, FAULT_TLS, STEP_EOF, STEP_FAULT, STEP_MOVED,
                    Conn, Core, Server)
from .limit cimport limit_leave
from .tally cimport tally_alert_later, tally_failure, tally_handshake

cdef enum:                     # tls1.h, sslerr.h
    TLS1_3_VERSION = 0x0304
    SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE = 199

cdef inline void account_handshake(Core* k, Conn* c) noexcept nogil:
    """A handshake is complete."""
    k.count[<int> N_HANDSHAKES] += 1
    if k.tls.SSL_version(c.client.ssl) == TLS1_3_VERSION:
        k.count[<int> N_HANDSHAKES_TLS13] += 1
    else:
        k.count[<int> N_HANDSHAKES_TLS12] += 1
    if k.tls.SSL_session_reused(c.client.ssl):
        k.count[<int> N_HANDSHAKES_RESUMED] += 1
    if c.authenticated:
        k.count[<int> N_CLIENT_CERTIFICATES_VERIFIED] += 1
    tally_handshake(k, c)

cdef inline void account_handshake_failed(Core* k, Conn* c) noexcept nogil:
    """Either side refused the handshake."""
    k.count[<int> N_HANDSHAKES_FAILED] += 1
    if c.client.reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        k.count[<int> N_CLIENT_CERTIFICATES_MISSING] += 1
    tally_failure(c)

cdef inline void account_proxy_in(Core* k, Conn* c, int step) noexcept nogil:
    """What became of a trusted peer's PROXY header, as far as this step went."""
    if step == STEP_MOVED:
        k.count[<int> N_PROXY_HEADERS] += 1
        c.listener.numbers[<int> L_PROXY_ACCEPTED] += 1
    elif step == STEP_FAULT:
        k.count[<int> N_PROXY_MALFORMED] += 1
        c.listener.numbers[<int> L_PROXY_MALFORMED] += 1
    elif step == STEP_EOF:
        k.count[<int> N_PROXY_ABORTED] += 1
        c.listener.numbers[<int> L_PROXY_ABORTED] += 1

cdef inline void account_bytes(Core* k, Conn* c, uint64_t up, uint64_t down) noexcept nogil:
    """So many bytes were passed on."""
    k.count[<int> N_BYTES_UP] += up
    k.count[<int> N_BYTES_DOWN] += down
    c.listener.numbers[<int> L_BYTES_UP] += up
    c.listener.numbers[<int> L_BYTES_DOWN] += down

cdef inline int account_close_counter(int fault) noexcept nogil:
    """The closed_* number that a connection which ended so is counted in."""
    if fault == FAULT_NONE:
        return N_CLOSED_CLEAN
    elif fault == FAULT_TLS:
        return N_CLOSED_TLS
    elif fault == FAULT_HANDSHAKE or fault == FAULT_ABORTED or fault == FAULT_HANDSHAKE_TIMEOUT:
        return N_CLOSED_HANDSHAKE
    elif fault == FAULT_SHED:
        return N_CLOSED_HANDSHAKE
    elif fault == FAULT_CONNECT or fault == FAULT_CONNECT_TIMEOUT or fault == FAULT_NO_SERVER:
        return N_CLOSED_REFUSED
    elif fault == FAULT_PROXY or fault == FAULT_PROXY_TIMEOUT:
        return N_CLOSED_PROXY
    elif fault == FAULT_IDLE:
        return N_CLOSED_IDLE
    elif fault == FAULT_SHUTDOWN:
        return N_CLOSED_SHUTDOWN
    elif fault == FAULT_DRAIN:
        return N_CLOSED_DRAINED
    elif fault == FAULT_MEMORY:
        return N_CLOSED_MEMORY
    else:
        return N_CLOSED_RESET

cdef inline void account_server(Core* k, Conn* c, Server* server) noexcept nogil:
    """The connection is this server's from here on."""
    if server.cell != NULL and not c.counted:
        board_count(&k.board, server.cell.connections, 1)
        server.numbers[<int> S_CONNECTIONS] += 1
        c.counted = 1

cdef inline void account_leave_server(Core* k, Conn* c) noexcept nogil:
    """It is no longer: it has ended, or tries another one."""
    cdef Server* server
    if c.counted:
        server = &c.table.groups[c.listener.group].servers[c.server]
        board_count(&k.board, server.cell.connections, -1)
        server.numbers[<int> S_CONNECTIONS] -= 1
        c.counted = 0

cdef inline void account_open(Core* k, Conn* c) noexcept nogil:
    k.count[<int> N_ACCEPTED] += 1
    k.count[<int> N_CONNECTIONS] += 1
    c.listener.numbers[<int> L_ACCEPTED] += 1
    c.listener.numbers[<int> L_CONNECTIONS] += 1

cdef inline void _account_end(Conn* c, int closed) noexcept nogil:
    """On its listener; `closed` is its number in the worker's row."""
    cdef uint64_t* numbers = c.listener.numbers
    numbers[<int> L_CLOSED_HANDSHAKE + closed - <int> N_CLOSED_HANDSHAKE] += 1
    numbers[<int> L_CONNECTIONS] -= 1
    if c.fault == FAULT_ABORTED:
        numbers[<int> L_FAILED_ABORTED] += 1
    elif c.fault == FAULT_HANDSHAKE_TIMEOUT:
        numbers[<int> L_FAILED_TIMED_OUT] += 1
    elif c.fault == FAULT_SHED:
        numbers[<int> L_FAILED_SHED] += 1
    elif c.fault == FAULT_PROXY_TIMEOUT:
        numbers[<int> L_PROXY_TIMED_OUT] += 1
    elif c.fault == FAULT_TLS:
        tally_alert_later(c)

cdef inline void account_close(Core* k, Conn* c) noexcept nogil:
    """The connection has ended, for the reason in c.fault."""
    account_leave_server(k, c)
    limit_leave(k, c.listener)
    k.count[account_close_counter(c.fault)] += 1
    _account_end(c, account_close_counter(c.fault))
    k.count[<int> N_CONNECTIONS] -= 1
