# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See conn.pxd for the contract and defs.pxd for the diagram.

from libc.stdint cimport uint8_t, uint64_t

from .accesslog cimport accesslog_close, accesslog_mark, accesslog_open
from .account cimport (account_bytes, account_close, account_handshake, account_handshake_failed, account_open,
                       account_proxy_in)
from .clock cimport clock_ns
from .counters cimport (L_ACCEPTED, L_CLOSED_MEMORY, N_ACCEPTED, N_CLOSED_MEMORY, N_HANDSHAKES_ABORTED,
                        N_HANDSHAKES_TIMED_OUT, N_PROXY_TIMED_OUT, S_FAILED_TIMED_OUT)
from .defs cimport (CONN_ACCEPT, CONN_CLOSED, CONN_CONNECT, CONN_DRAIN, CONN_HANDSHAKE, CONN_PROXY_IN, CONN_RELAY,
                    END_CLOSE, END_LINGER, FAULT_ABORTED, FAULT_CONNECT, FAULT_CONNECT_TIMEOUT, FAULT_HANDSHAKE,
                    FAULT_HANDSHAKE_TIMEOUT, FAULT_IDLE, FAULT_MEMORY, FAULT_NO_SERVER, FAULT_NONE, FAULT_PROXY,
                    FAULT_PROXY_TIMEOUT, FAULT_RESET, FAULT_TLS, FLOW_BROKEN, FLOW_DONE, QUEUE_NONE, QUEUE_READY,
                    STEP_EOF, STEP_FAULT, STEP_MOVED, Conn, Core, Half, Step, Table)
from .dial cimport dial_failed, dial_next, dial_succeeded
from .ending cimport conn_discard_unwanted, conn_owes, half_lose, half_settle
from .half cimport half_adopt, half_close, half_reset
from .hello cimport hello_enter, hello_leave
from .limit cimport limit_leave
from .look cimport look_begin, look_due, look_settled
from .pending cimport pending_await, pending_leave, pending_work
from .plain cimport plain_xport
from .pool cimport pool_get
from .poller cimport POLL_CONN, poll_add_conn, poll_key
from .proxyfacts cimport proxyfacts_header
from .proxyout cimport PROXY_OUT_BYTES
from .proxyread cimport proxyread_step, proxyread_trusts
from .queue cimport queue_push, queue_remove
from .relay cimport flow_drain, flow_drop, flow_holds, flow_over, flow_pump
from .slab cimport slab_give, slab_take
from .sys cimport CORE_ASSERT, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, close
from .tls cimport tls_free, tls_handshake, tls_open, tls_xport
from .transitions cimport may_follow
from .wheel cimport wheel_arm, wheel_cancel

cdef enum:
    LINGER_MS = 2000           # how long a peer may take to end its stream after ours has ended
    FIRST_DRAIN_WAIT_MS = 64   # DRAIN looks again after this, then twice as long each time
    LAST_DRAIN_WAIT_MS = 1024


# --- states ----------------------------------------------------------------------------------------------------

cdef void _set_state(Conn* c, int state) noexcept nogil:
    CORE_ASSERT(may_follow(c.state, state))
    c.state = <uint8_t> state


cdef void conn_advance(Core* k, Conn* c) noexcept nogil:
    """Do all that can be done now."""
    if c.state == CONN_RELAY:
        _relay(k, c)
    elif c.state == CONN_HANDSHAKE:
        _handshake(k, c)
    elif c.state == CONN_CONNECT:
        _connect(k, c)
    elif c.state == CONN_DRAIN:
        _drain(k, c)
    elif c.state == CONN_PROXY_IN:
        _proxy_in(k, c)
    else:
        CORE_ASSERT(c.state == CONN_CLOSED)


# --- events ----------------------------------------------------------------------------------------------------

cdef void conn_event(Core* k, Conn* c, bint server_side, uint32_t events) noexcept nogil:
    cdef Half* half = &c.server_half if server_side else &c.client
    if events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        half.readable = 1
    if events & (EPOLLOUT | EPOLLHUP | EPOLLERR):
        half.writable = 1
    if events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        half.exhaust = 1
    if events & EPOLLRDHUP and not events & (EPOLLERR | EPOLLHUP):
        # All that it will ever send is here, and then comes the end of its stream: no reset, no refusal.
        (&c.client if server_side else &c.server_half).last = 1
    if c.state == CONN_HANDSHAKE:
        _handshake_event(k, c, events)
    elif c.state == CONN_CONNECT and not server_side:
        if events & (EPOLLERR | EPOLLHUP):
            conn_abort(k, c, FAULT_RESET)
    else:
        conn_advance(k, c)


cdef void _handshake_event(Core* k, Conn* c, uint32_t events) noexcept nogil:
    if c.client.ssl == NULL and events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        # A client that sends nothing after its hello cannot complete a handshake: not worth a TLS object.
        k.count[<int> N_HANDSHAKES_ABORTED] += 1
        conn_abort(k, c, FAULT_ABORTED)
    elif c.client.readable or c.client.unflushed:
        # The first EPOLLOUT only says that the socket is new: no work, and no TLS object for a silent client.
        pending_work(k, c)


cdef void conn_timeout(Core* k, Conn* c) noexcept nogil:
    """The connection's timer fired."""
    if c.state == CONN_RELAY:
        if not look_due(k, c):
            conn_end(k, c, FAULT_IDLE)
    elif c.state == CONN_DRAIN:
        if k.now_ms >= c.deadline_ms:
            conn_abort(k, c, c.fault)
        else:
            _drain(k, c)
    elif c.state == CONN_CONNECT:
        dial_failed(k, c, S_FAILED_TIMED_OUT)
        _dial(k, c, FAULT_CONNECT_TIMEOUT)
    elif c.state == CONN_HANDSHAKE:
        k.count[<int> N_HANDSHAKES_TIMED_OUT] += 1
        conn_abort(k, c, FAULT_HANDSHAKE_TIMEOUT)
    elif c.state == CONN_PROXY_IN:
        k.count[<int> N_PROXY_TIMED_OUT] += 1
        conn_abort(k, c, FAULT_PROXY_TIMEOUT)


# --- ACCEPT, PROXY_IN, HANDSHAKE, CONNECT ----------------------------------------------------------------------

cdef void conn_open(Core* k, Table* table, uint32_t listener, int fd) noexcept nogil:
    """Take over a freshly accepted descriptor, counted by limit_enter; its listening socket gave it TCP_NODELAY."""
    cdef Conn* c = slab_take(&k.slab)
    if c == NULL:
        k.count[<int> N_ACCEPTED] += 1
        k.count[<int> N_CLOSED_MEMORY] += 1
        table.listeners[listener].numbers[<int> L_ACCEPTED] += 1
        table.listeners[listener].numbers[<int> L_CLOSED_MEMORY] += 1
        limit_leave(k, &table.listeners[listener])
        close(fd)
        return
    _set_state(c, CONN_ACCEPT)
    c.table = table
    c.table.refs += 1
    c.listener = &table.listeners[listener]
    account_open(k, c)
    c.server_half.fd = -1
    half_adopt(k, &c.client, fd)
    c.client.writable = 1
    accesslog_open(k, c)
    if not poll_add_conn(k.epfd, fd, poll_key(POLL_CONN, False, c.generation, c.slot)):
        conn_abort(k, c, FAULT_MEMORY)
    elif proxyread_trusts(k, c.listener, fd):
        _set_state(c, CONN_PROXY_IN)
        pending_await(k, c)
        wheel_arm(&k.wheel, &c.timer, k.now_ms + c.listener.handshake_ms)
    else:
        _begin(k, c)


cdef void _proxy_in(Core* k, Conn* c) noexcept nogil:
    cdef Step step = proxyread_step(k, c)
    account_proxy_in(k, c, step)
    if step == STEP_MOVED:
        accesslog_mark(k, c, &c.trace.ready_us)
        _begin(k, c)
    elif step == STEP_FAULT or step == STEP_EOF:
        conn_abort(k, c, FAULT_PROXY)


cdef void _begin(Core* k, Conn* c) noexcept nogil:
    """The next byte is the client's own."""
    if c.listener.tls == NULL:
        pending_leave(k, c)
        c.client.xport = plain_xport()
        _dial(k, c, FAULT_CONNECT)
        return
    c.client.xport = tls_xport()
    _set_state(c, CONN_HANDSHAKE)
    c.begun_ns = clock_ns()
    wheel_arm(&k.wheel, &c.timer, k.now_ms + c.listener.handshake_ms)
    pending_await(k, c)
    if c.client.readable:
        # What came behind a PROXY header raises no event of its own.
        pending_work(k, c)


cdef void _handshake(Core* k, Conn* c) noexcept nogil:
    cdef Step step
    if c.client.ssl == NULL and not tls_open(k, &c.client, c.listener.tls):
        conn_abort(k, c, FAULT_MEMORY)
        return
    hello_enter(k, c)
    step = tls_handshake(k, &c.client)
    hello_leave()
    if step == STEP_MOVED:
        account_handshake(k, c)
        accesslog_mark(k, c, &c.trace.greeted_us)
        _dial(k, c, FAULT_CONNECT)
    elif step == STEP_FAULT:
        _handshake_failed(k, c)
    else:
        pending_await(k, c)


cdef void _handshake_failed(Core* k, Conn* c) noexcept nogil:
    cdef int fault = c.client.fault
    if fault != FAULT_TLS:
        if fault == FAULT_ABORTED:
            k.count[<int> N_HANDSHAKES_ABORTED] += 1
        conn_abort(k, c, fault)
        return
    account_handshake_failed(k, c)
    # The alert must arrive: a close with unread bytes would send an RST that overtakes it.
    c.fault = FAULT_HANDSHAKE
    c.client.ending = END_LINGER
    _enter_drain(k, c, LINGER_MS)


cdef void _dial(Core* k, Conn* c, int fault) noexcept nogil:
    """Connect to the next server; with none left the client is reset for the reason given."""
    if c.table.groups[c.listener.group].weighted == 0:
        fault = FAULT_NO_SERVER
    c.begun_ns = clock_ns()
    if dial_next(k, c) == STEP_FAULT:
        conn_abort(k, c, fault)
        return
    if c.state != CONN_CONNECT:
        _set_state(c, CONN_CONNECT)
    wheel_arm(&k.wheel, &c.timer, k.now_ms + c.listener.connect_ms)


cdef void _connect(Core* k, Conn* c) noexcept nogil:
    if not c.server_half.writable:
        return
    if not dial_succeeded(k, c):
        _dial(k, c, FAULT_CONNECT)
        return
    accesslog_mark(k, c, &c.trace.served_us)
    if c.listener.proxy != NULL and not _begin_with_header(k, c):
        return
    _set_state(c, CONN_RELAY)
    look_begin(k, c)
    _relay(k, c)


cdef bint _begin_with_header(Core* k, Conn* c) noexcept nogil:
    """The PROXY header goes out at once and before all else: a server that speaks first waits for nothing more."""
    c.up.held = pool_get(&k.pool)
    if c.up.held == NULL:
        conn_abort(k, c, FAULT_MEMORY)
        return False
    c.up.held.tail = proxyfacts_header(k, c, <uint8_t*> c.up.held.data, PROXY_OUT_BYTES)
    if c.up.held.tail == 0:
        conn_abort(k, c, FAULT_RESET)
        return False
    flow_drain(k, &c.up, &c.server_half)
    # Not a byte of it is the client's.
    c.up.bytes = 0
    return True


# --- RELAY -----------------------------------------------------------------------------------------------------

cdef void _relay(Core* k, Conn* c) noexcept nogil:
    cdef uint64_t up_before = c.up.bytes, down_before = c.down.bytes
    cdef uint64_t up_budget = k.relay_bytes, down_budget = k.relay_bytes
    cdef Step up, down
    up = flow_pump(k, &c.up, &c.client, &c.server_half, &up_budget)
    c.client.closes = c.up.state == FLOW_DONE and c.client.finished
    down = flow_pump(k, &c.down, &c.server_half, &c.client, &down_budget)
    if c.up.bytes != up_before or c.down.bytes != down_before:
        account_bytes(k, c, c.up.bytes - up_before, c.down.bytes - down_before)
        c.active_ms = k.now_ms
    # A fault may also come from writing; then no read would ever report it.
    if c.client.fault != FAULT_NONE or c.server_half.fault != FAULT_NONE:
        _halves_lost(k, c, c.client.fault != FAULT_NONE, c.server_half.fault != FAULT_NONE)
    elif flow_over(&c.up) and flow_over(&c.down):
        _relay_over(k, c)
    elif up == STEP_MOVED or down == STEP_MOVED or conn_discard_unwanted(k, c):
        queue_push(&k.ready, c, QUEUE_READY)
    else:
        look_settled(k, c)


cdef void _relay_over(Core* k, Conn* c) noexcept nogil:
    """Both directions have ended.  A half whose bytes nobody took may still be sending them."""
    if c.up.state == FLOW_DONE and c.down.state == FLOW_DONE:
        if c.client.finished:
            _finish(k, c)
            return
        # A TLS client may send on after its close_notify; closing on top of that would reset what it is owed.
        c.server_half.ending = END_CLOSE
    else:
        c.fault = FAULT_RESET
        c.server_half.ending = END_LINGER if c.up.state == FLOW_DONE else END_CLOSE
    c.client.ending = END_LINGER if c.down.state == FLOW_DONE else END_CLOSE
    _enter_drain(k, c, c.listener.idle_ms)


cdef void _halves_lost(Core* k, Conn* c, bint client_lost, bint server_lost) noexcept nogil:
    """Reading a half failed: what it sent before is passed on, then the other half is reset in its turn."""
    c.fault = c.client.fault if client_lost else c.server_half.fault
    if client_lost:
        flow_drop(k, &c.down)
        c.down.state = FLOW_BROKEN
        half_lose(k, &c.client, &c.server_half)
    if server_lost:
        flow_drop(k, &c.up)
        c.up.state = FLOW_BROKEN
        half_lose(k, &c.server_half, &c.client)
    _enter_drain(k, c, c.listener.idle_ms)


# --- DRAIN, CLOSED ---------------------------------------------------------------------------------------------

cdef void conn_end(Core* k, Conn* c, int fault) noexcept nogil:
    """End an established connection from our side: what is held and an end of stream to both peers.

    One that is ending already goes on ending; one that is not established is aborted.
    """
    if c.state == CONN_DRAIN:
        return
    if c.state != CONN_RELAY:
        conn_abort(k, c, fault)
        return
    c.fault = <uint8_t> fault
    c.client.ending = END_LINGER
    c.server_half.ending = END_LINGER
    _enter_drain(k, c, LINGER_MS)


cdef void _enter_drain(Core* k, Conn* c, uint32_t patience_ms) noexcept nogil:
    """Bytes still owed to a peer have `patience_ms` to get there."""
    _set_state(c, CONN_DRAIN)
    if c.queue == QUEUE_READY:
        queue_remove(&k.ready, c)
    c.drain_wait_ms = FIRST_DRAIN_WAIT_MS
    c.deadline_ms = k.now_ms + patience_ms
    _drain(k, c)


cdef void _drain(Core* k, Conn* c) noexcept nogil:
    cdef uint64_t up_before = c.up.bytes, down_before = c.down.bytes
    if flow_holds(&c.up):
        flow_drain(k, &c.up, &c.server_half)
    if flow_holds(&c.down):
        flow_drain(k, &c.down, &c.client)
    account_bytes(k, c, c.up.bytes - up_before, c.down.bytes - down_before)
    half_settle(k, &c.client, &c.down)
    half_settle(k, &c.server_half, &c.up)
    if c.client.fd < 0 and c.server_half.fd < 0:
        _finish(k, c)
        return
    if not conn_owes(c):
        c.deadline_ms = min(c.deadline_ms, k.now_ms + LINGER_MS)
    # Nothing tells when the last byte is acknowledged, so DRAIN looks again, less and less often.
    wheel_arm(&k.wheel, &c.timer, min(k.now_ms + c.drain_wait_ms, c.deadline_ms))
    c.drain_wait_ms = min(2 * c.drain_wait_ms, <uint32_t> LAST_DRAIN_WAIT_MS)


cdef void conn_abort(Core* k, Conn* c, int fault) noexcept nogil:
    """End at once: reset whatever is still open."""
    c.fault = <uint8_t> fault
    half_reset(k, &c.client)
    half_reset(k, &c.server_half)
    _finish(k, c)


cdef void _finish(Core* k, Conn* c) noexcept nogil:
    """Close what is open and leave the connection to conn_reap."""
    if c.state == CONN_CLOSED:
        return
    _set_state(c, CONN_CLOSED)
    half_close(k, &c.client)
    half_close(k, &c.server_half)
    wheel_cancel(&k.wheel, &c.timer)
    if c.queue == QUEUE_READY:
        queue_remove(&k.ready, c)
    pending_leave(k, c)
    accesslog_close(k, c)
    account_close(k, c)
    c.reap_next = k.reap
    k.reap = c


cdef void conn_reap(Core* k) noexcept nogil:
    """Free what the turn closed."""
    cdef Conn* c
    while k.reap != NULL:
        c = k.reap
        k.reap = c.reap_next
        flow_drop(k, &c.up)
        flow_drop(k, &c.down)
        tls_free(k, &c.client)
        CORE_ASSERT(c.client.fd < 0 and c.server_half.fd < 0 and c.queue == QUEUE_NONE)
        c.table.refs -= 1
        slab_give(&k.slab, c)
