# The alerts of a connection, on its half: what it sent and what it received last, besides close_notify.
#
# The library tells of them (hello.pyx) from within its functions, which know no connection but its TLS object; so
# they are kept for a moment and fetched where the call that they came with is judged (tls.pyx).

from .defs cimport Half

cdef void alert_note(const void* ssl, bint sent, int alert) noexcept nogil
cdef void alert_take(Half* half) noexcept nogil
cdef void alert_begin(const void* ssl) noexcept nogil
