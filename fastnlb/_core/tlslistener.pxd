# How a listener terminates TLS: from the worker's plain tuple to the struct the handshake reads, callbacks installed.
#
# Part of building a Table: it touches Python objects and never runs inside the loop.

from .defs cimport TlsListener
from .tlsapi cimport TlsApi

cdef TlsListener* tls_listener_build(const TlsApi* api, tuple fields) except NULL
cdef void tls_listener_free(TlsListener* tls) noexcept nogil
