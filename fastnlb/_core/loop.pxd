# The event loop: one turn is wait, events, left-over relays, timers, a budget of handshakes, reaping.
#
# Relays come before handshakes and handshakes are rationed, so a storm of new clients slows only new clients.
# loop_run comes back only when Python is needed; nothing in it touches Python or takes the GIL.

from libc.stdint cimport uint32_t, uint64_t

from .defs cimport Core, StopReason

cdef void loop_tell_time(Core* k) noexcept nogil
cdef StopReason loop_run(Core* k) noexcept nogil
cdef uint64_t loop_share(uint32_t relays) noexcept nogil
cdef void loop_drain(Core* k, unsigned long long deadline_ms) noexcept nogil
cdef void loop_abort_all(Core* k) noexcept nogil
