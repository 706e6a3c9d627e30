# What a PROXY protocol header says about one connection, asked of its sockets and of the TLS library, and the header
# made of it.
#
# KEY_ALG and SIG_ALG are the same for every connection that was shown a certificate, so they come with it in the
# configuration.  A resumed session was shown none, and which one of several it began with is not known: left out.

from libc.stdint cimport uint8_t, uint32_t

from .defs cimport Conn, Core

cdef uint32_t proxyfacts_header(Core* k, Conn* c, uint8_t* out, uint32_t room) noexcept nogil
