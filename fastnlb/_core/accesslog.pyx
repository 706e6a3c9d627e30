# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See accesslog.pxd for the contract.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from .clock cimport clock_ns
from .defs cimport (CONN_CONNECT, CONN_DRAIN, CONN_RELAY, FAULT_HANDSHAKE, NOTICE_LOG, NOTICE_NONE, OFFER_BYTES,
                    TRACE_UNKNOWN, Conn, Core, Server, Trace)
from .endpoint cimport endpoint_local, endpoint_peer, endpoint_plain, endpoint_take
from .logfacts cimport LogTexts, logfacts_ask_tls, logfacts_release
from .logline cimport LogFacts, TlsFacts, logline_write
from .logring cimport LOG_LINE_BYTES, logring_put, logring_room
from .logwriter cimport logwriter_drop, logwriter_turn
from .sys cimport AF_UNIX, CLOCK_REALTIME, clock_gettime, sockaddr_un, timespec

cdef enum:
    TELL_MS = 60000            # once a minute is enough to say that lines are lost


# --- on the way ------------------------------------------------------------------------------------------------

cdef void accesslog_note_open(Core* k, Conn* c) noexcept nogil:
    c.trace.opened_us = clock_ns() // 1000
    endpoint_take(&c.trace.peer, &k.came_from)
    endpoint_local(&c.trace.here, c.client.fd)


cdef void accesslog_adopt(Conn* c) noexcept nogil:
    """It was open when the log was switched on."""
    cdef bint relayed = c.state == CONN_RELAY or c.state == CONN_DRAIN and c.fault != FAULT_HANDSHAKE
    if c.client.fd >= 0 and c.trace.peer.family == 0:
        endpoint_peer(&c.trace.peer, c.client.fd)
        endpoint_local(&c.trace.here, c.client.fd)
    if c.client.ssl != NULL and c.trace.greeted_us == 0 and (relayed or c.state == CONN_CONNECT):
        c.trace.greeted_us = TRACE_UNKNOWN
    if relayed and c.trace.served_us == 0:
        c.trace.served_us = TRACE_UNKNOWN


cdef void accesslog_note_time(Conn* c, uint32_t* at) noexcept nogil:
    """As microseconds since it was opened: never 0, and at most 71 minutes."""
    cdef uint64_t us = clock_ns() // 1000 - c.trace.opened_us
    at[0] = <uint32_t> max(min(us, <uint64_t> TRACE_UNKNOWN - 1), <uint64_t> 1)


cdef void accesslog_note_offer(Conn* c, const uint8_t* offers, uint32_t length) noexcept nogil:
    """As many of them as there is room for."""
    cdef uint32_t fits = 0, next_one
    while fits < length:
        next_one = fits + 1 + offers[fits]
        if next_one > length or next_one > <uint32_t> OFFER_BYTES:
            break
        fits = next_one
    memcpy(c.trace.offer, offers, fits)
    c.trace.offer_length = <uint8_t> fits


# --- the line --------------------------------------------------------------------------------------------------

cdef void accesslog_line(Core* k, Conn* c) noexcept nogil:
    cdef char* room = logring_room(&k.log.ring)
    cdef LogFacts facts
    cdef TlsFacts tls
    cdef LogTexts texts
    cdef uint32_t length
    if room == NULL:
        logwriter_drop(k.log)
        return
    memset(&facts, 0, sizeof(facts))
    facts.pid = k.log.pid
    facts.fault = c.fault
    facts.listener.data, facts.listener.length = c.listener.name, c.listener.name_length
    facts.bytes_up, facts.bytes_down = c.up.bytes, c.down.bytes
    _ask_times(c, &facts)
    _ask_addresses(c, &facts)
    if c.trace.served_us:
        _ask_server(c, &facts)
    if c.listener.tls != NULL:
        facts.tls = &tls
        logfacts_ask_tls(k, c, &tls, &texts)
    length = logline_write(&facts, room, LOG_LINE_BYTES)
    if c.listener.tls != NULL:
        logfacts_release(k, &texts)
    if length:
        logring_put(&k.log.ring, length)
    else:
        logwriter_drop(k.log)


cdef void _ask_times(const Conn* c, LogFacts* facts) noexcept nogil:
    """The wall clock is read once, at the end: a start follows from it even when the clock was set meanwhile."""
    cdef timespec now
    cdef const Trace* trace = &c.trace
    clock_gettime(CLOCK_REALTIME, &now)
    facts.duration_us = <int64_t> (clock_ns() // 1000 - trace.opened_us)
    facts.began_us = <int64_t> now.tv_sec * 1000000 + now.tv_nsec // 1000 - facts.duration_us
    facts.handshake_us = _between(trace.ready_us, trace.greeted_us)
    facts.connect_us = _between(max(trace.ready_us, trace.greeted_us), trace.served_us)


cdef int64_t _between(uint32_t begin, uint32_t end) noexcept nogil:
    """-1: it did not come to its end, or when it began is not known."""
    if end == 0 or end == TRACE_UNKNOWN or begin == TRACE_UNKNOWN:
        return -1
    return <int64_t> end - begin


cdef void _ask_addresses(const Conn* c, LogFacts* facts) noexcept nogil:
    facts.client, facts.destination = c.trace.peer, c.trace.here
    if c.source.family:
        facts.client, facts.destination, facts.peer = c.source, c.target, c.trace.peer
    endpoint_plain(&facts.client)
    endpoint_plain(&facts.peer)
    endpoint_plain(&facts.destination)


cdef void _ask_server(const Conn* c, LogFacts* facts) noexcept nogil:
    cdef const Server* server = &c.table.groups[c.listener.group].servers[c.server]
    if server.family == AF_UNIX:
        _ask_path(<const sockaddr_un*> &server.address, facts)
        return
    endpoint_take(&facts.server, &server.address)
    if server.any_port:
        facts.server.port = c.trace.here.port


cdef void _ask_path(const sockaddr_un* name, LogFacts* facts) noexcept nogil:
    facts.server_path.data = <const uint8_t*> name.sun_path
    while facts.server_path.length < sizeof(name.sun_path) and name.sun_path[facts.server_path.length]:
        facts.server_path.length += 1


# --- the turn --------------------------------------------------------------------------------------------------

cdef void accesslog_turn(Core* k) noexcept nogil:
    """Once a turn: the writer is woken when there is reason to, and Python is told when lines are lost."""
    logwriter_turn(k.log)
    if (k.log.slow or k.log.error) and k.now_ms >= k.log.tell_ms and k.notice == NOTICE_NONE:
        k.log.tell_ms = k.now_ms + TELL_MS
        k.notice = NOTICE_LOG
