# Writing a PROXY protocol header, version 2, from facts: no connection and no TLS library is known here.
#
# The order is HAProxy's: ids, CRC32C, ALPN, AUTHORITY, SSL {VERSION, CN, KEY_ALG, SIG_ALG, CIPHER}.  What is not
# known is left out.  The checksum is over the whole header with its own four bytes zero, so it is filled in last.

from libc.stdint cimport uint8_t, uint32_t

from .endpoint cimport Endpoint

cdef enum:                     # what a listener sends besides the addresses
    PROXY_ALPN = 1
    PROXY_AUTHORITY = 2
    PROXY_SSL = 4
    PROXY_CRC32C = 8

cdef enum:
    PROXY_OUT_BYTES = 2048     # more than the longest header: ids 512, ALPN, AUTHORITY and CN 255 each

cdef struct Span:
    const uint8_t* data        # borrowed
    uint32_t length            # 0 = not known

cdef struct ProxyFacts:
    uint8_t flags              # PROXY_*
    Endpoint source            # known
    Endpoint target            # known
    Span ids                   # TLVs as they are
    Span alpn
    Span authority
    uint8_t client             # PP2_CLIENT_*; 0 = not over TLS
    uint32_t verify            # 0 = a certificate of the client has been verified
    Span version
    Span common_name
    Span key_alg
    Span sig_alg
    Span cipher

cdef uint32_t proxyout_write(const ProxyFacts* facts, uint8_t* out, uint32_t room) noexcept nogil
