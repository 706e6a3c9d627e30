# TLS on the client's half, over one SSL* made through the TlsApi table.
#
# Two modes, because the library offers no way to read ahead from a descriptor:
#   TLS_MEMORY      one large recv, decrypted through a read-only memory BIO laid over that buffer; records are
#                   written into a memory BIO and sent together.  Fewest system calls: handshakes, small messages,
#                   uploads.
#   TLS_DESCRIPTOR  the library calls send itself: no copy on the way out.  Downloads, until the client sends:
#                   reading from a descriptor does not return while records come that hold no plaintext.
# A half starts in TLS_MEMORY and follows the direction that is seen to carry the bulk.  It can change only when
# neither BIO holds anything; the record layer's own partial record survives the change.
#
# Traps: ciphertext under a memory BIO must stay valid until the record layer has consumed it (Half.cipher).
# The error queue is kept empty by clearing it after each failure, so SSL_get_error never sees a stale entry.
# SSL_read may leave something to send (an alert, a KeyUpdate answer): Half.unflushed says so.

from .defs cimport Core, Half, Step, Xport

cdef const Xport* tls_xport() noexcept nogil
cdef bint tls_open(Core* k, Half* half, void* context) noexcept nogil
cdef Step tls_handshake(Core* k, Half* half) noexcept nogil
cdef void tls_free(Core* k, Half* half) noexcept nogil
