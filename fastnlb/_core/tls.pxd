# TLS on the client's half, over one SSL* made through the TlsApi table; how ciphertext travels is tlsbio's.
#
# The error queue is kept empty by clearing it after each failure and before each handshake step, so SSL_get_error
# never sees a stale entry.  SSL_read comes back after every record (no SSL_MODE_AUTO_RETRY), also after one without
# plaintext, so a flood of those is counted like any other.  It may leave something to send: Half.unflushed says so.
# Once a call has failed with anything but WANT_*, the library will do no more on this connection: Half.fault stays.

from .defs cimport Core, Half, Step, TlsListener, Xport

cdef const Xport* tls_xport() noexcept nogil
cdef bint tls_open(Core* k, Half* half, TlsListener* tls) noexcept nogil
cdef Step tls_handshake(Core* k, Half* half) noexcept nogil
cdef void tls_free(Core* k, Half* half) noexcept nogil
