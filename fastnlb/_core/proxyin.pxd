# Reading a PROXY protocol header, version 1 or 2: pure, so that every truncation can be tried.
#
# Whatever is not exactly as the specification has it is malformed; nothing is guessed.  The checksum is verified
# where there is one.  LOCAL, UNKNOWN and UNSPEC leave the addresses of the socket in force, and so do unix sockets,
# for which there is no place in an Endpoint.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from .endpoint cimport Endpoint

cdef enum:
    PROXY_IN_BYTES = 4096      # the longest header accepted
    PROXY_IN_MORE = 0          # whole so far, and not at its end
    PROXY_IN_MALFORMED = -1

cdef struct ProxyHeader:
    Endpoint source            # family 0: not said
    Endpoint target

cdef int32_t proxyin_parse(const uint8_t* data, uint32_t length, ProxyHeader* header) noexcept nogil
