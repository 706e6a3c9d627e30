# The access log: what is noted of a connection on its way, and its line at the end.
#
# While the log is off it costs a branch in each of these places.  A connection that was there before it was switched
# on has a line too, with what can still be found out (accesslog_adopt).
# The line is made when the connection is finished, before its TLS object is freed; it is whole in the ring or not at
# all (logring.pxd), and a thread of its own writes it (logwriter.pxd).

from libc.stdint cimport uint8_t, uint32_t

from .defs cimport Conn, Core

cdef void accesslog_adopt(Conn* c) noexcept nogil
cdef void accesslog_turn(Core* k) noexcept nogil
cdef void accesslog_note_open(Core* k, Conn* c) noexcept nogil
cdef void accesslog_note_time(Conn* c, uint32_t* at) noexcept nogil
cdef void accesslog_note_offer(Conn* c, const uint8_t* offers, uint32_t length) noexcept nogil
cdef void accesslog_line(Core* k, Conn* c) noexcept nogil

cdef inline void accesslog_open(Core* k, Conn* c) noexcept nogil:
    """It was just accepted; k.came_from says from whom."""
    c.trace.opened_us = 1000 * k.now_ms
    if k.logging:
        accesslog_note_open(k, c)

cdef inline void accesslog_mark(Core* k, Conn* c, uint32_t* at) noexcept nogil:
    """What this time of its trace is of has come to its end now."""
    if k.logging:
        accesslog_note_time(c, at)

cdef inline void accesslog_offer(Core* k, Conn* c, const uint8_t* offers, uint32_t length) noexcept nogil:
    """The ALPN protocols of its ClientHello."""
    if k.logging:
        accesslog_note_offer(c, offers, length)

cdef inline void accesslog_close(Core* k, Conn* c) noexcept nogil:
    """It has ended, for the reason in c.fault."""
    if k.logging:
        accesslog_line(k, c)
