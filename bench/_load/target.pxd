# Where a load goes: an address, and for TLS a context and the names asked for in turn.

from libc.stdint cimport uint64_t

from fastnlb._core.sys cimport sockaddr_storage, socklen_t

cdef struct Place:
    sockaddr_storage address
    socklen_t length
    int family
    bint loopback               # 127.0.0.1: clients may come from many addresses
    void* context               # SSL_CTX* of the Target; NULL: plain
    const char** names          # owned by the Target; SNI of connection n is names[n % name_count]
    uint64_t name_count

cdef class Target:
    cdef Place place
    cdef readonly str address
    cdef readonly int port
    cdef readonly object context
    cdef readonly tuple names
    cdef list _encoded
