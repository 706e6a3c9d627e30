# What the TLS library asks during a handshake: which certificate for this server name, which protocol (ALPN), which
# OCSP response, and whether the client's certificate will do.
#
# The TLS library calls these functions from inside SSL_do_handshake, so the connection that is being advanced is a
# plain thread-local variable, set by hello_enter and cleared by hello_leave.  They read the Table the connection was
# accepted under.  No callback ever reaches Python.

from .defs cimport Conn, Core
from .tlsapi cimport TlsApi

cdef void hello_enter(Core* k, Conn* c) noexcept nogil
cdef void hello_leave() noexcept nogil
cdef void hello_install_front(const TlsApi* api, void* context) noexcept nogil
cdef void hello_install_inner(const TlsApi* api, void* context) noexcept nogil
cdef int hello_judge_client(int verified, void* store) noexcept nogil
