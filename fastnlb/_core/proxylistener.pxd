# What a listener does about the PROXY protocol: from the worker's plain tuple to what the loop reads.
#
# Part of building a Table: it touches Python objects and never runs inside the loop.

from .defs cimport Listener

cdef int proxy_listener_build(Listener* listener, proxy) except -1
cdef void proxy_listener_free(Listener* listener) noexcept nogil
