# How ciphertext gets between a socket and the TLS library: the two modes, feeding and flushing.
#
#   TLS_MEMORY      one large recv, decrypted through a read-only memory BIO laid over that buffer; records are
#                   written into a memory BIO and sent together.  Fewest system calls: handshakes, small messages,
#                   uploads.
#   TLS_DESCRIPTOR  the library calls send itself: no copy on the way out.  Downloads, until the client sends:
#                   reading from a descriptor does not return while records come that hold no plaintext.
#
# Two modes, because the library offers no way to read ahead from a descriptor and no socket BIO of its own that
# could be set for one direction only.  The mode changes when neither BIO holds anything; the record layer's own
# partial record survives the change.
#
# A half at rest has no BIOs at all, nor anything else of the library's that only use needs; bio_wake comes before the
# next call that reads or writes.
#
# Traps: ciphertext under a memory BIO must stay valid until the record layer has consumed it (Half.cipher).  The
# library owns both BIOs; read_bio and write_bio are borrowed.  In descriptor mode the library sends without
# MSG_NOSIGNAL: the process must ignore SIGPIPE, as Python does.

from .defs cimport Core, Half, Step

cdef bint bio_begin(Core* k, Half* half) noexcept nogil
cdef bint bio_rest(Core* k, Half* half) noexcept nogil
cdef bint bio_wake(Core* k, Half* half) noexcept nogil
cdef void bio_weigh(Core* k, Half* half) noexcept nogil
cdef void bio_release_cipher(Core* k, Half* half) noexcept nogil
cdef bint bio_consumed(Core* k, const Half* half) noexcept nogil
cdef Step bio_feed(Core* k, Half* half) noexcept nogil
cdef long bio_outgoing(Core* k, Half* half) noexcept nogil
cdef Step bio_flush(Core* k, Half* half) noexcept nogil
