# What an established connection looks at now and then, as moving bytes does not touch its timer: held-back session
# tickets, when the kernel begins to probe the peers, what a TLS connection at rest gives back, and the idle timeout.
#
# A TLS connection rests as soon as its first answer is out: memory that comes back so early is used again by the
# handshakes that follow.  One that goes on is in use, and being woken for every message would cost it more than it
# gives: it is looked at once a second, and rests when nothing has moved for STILL_MS.  So does one without an answer.

from .defs cimport Conn, Core

cdef void look_begin(Core* k, Conn* c) noexcept nogil
cdef bint look_due(Core* k, Conn* c) noexcept nogil
cdef void look_settled(Core* k, Conn* c) noexcept nogil
