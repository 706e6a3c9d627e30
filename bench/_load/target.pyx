# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See target.pxd for the contract.

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastnlb._core.sys cimport AF_INET, AF_INET6, htons, inet_pton, sockaddr_in, sockaddr_in6

from .sys cimport htonl
from .tls cimport context_pointer

cdef enum:
    LOOPBACK = 0x7f000001


cdef class Target:
    """Where a load goes.

    `address` is an IPv4 or IPv6 address in digits.  `context` makes the clients speak TLS and `names` are the host
    names they ask for in turn.  Raises ValueError.
    """

    def __init__(self, str address, int port, context=None, names=()):
        self.address, self.port, self.context, self.names = address, port, context, tuple(names)
        _fill_address(&self.place, address, port)
        if context is None:
            if self.names:
                raise ValueError("names are for TLS: give the target a context")
            return
        self.place.context = context_pointer(context)
        self._encoded = [name.encode("ascii") for name in self.names]
        _fill_names(&self.place, self._encoded)

    def __dealloc__(self):
        free(self.place.names)


cdef int _fill_address(Place* place, str address, int port) except -1:
    cdef sockaddr_in* four = <sockaddr_in*> &place.address
    cdef sockaddr_in6* six = <sockaddr_in6*> &place.address
    cdef bytes text = address.encode("ascii", "replace")
    memset(&place.address, 0, sizeof(place.address))
    if not 0 < port < 65536:
        raise ValueError(f"port {port}: must be 1 to 65535")
    if inet_pton(AF_INET, text, &four.sin_addr) == 1:
        place.family = AF_INET
        four.sin_family = AF_INET
        four.sin_port = htons(<unsigned short> port)
        place.length = sizeof(sockaddr_in)
        place.loopback = four.sin_addr.s_addr == htonl(LOOPBACK)
    elif inet_pton(AF_INET6, text, &six.sin6_addr) == 1:
        place.family = AF_INET6
        six.sin6_family = AF_INET6
        six.sin6_port = htons(<unsigned short> port)
        place.length = sizeof(sockaddr_in6)
    else:
        raise ValueError(f"{address}: must be an IPv4 or IPv6 address in digits")
    return 0


cdef int _fill_names(Place* place, list encoded) except -1:
    if not encoded or place.names != NULL:
        return 0
    place.names = <const char**> calloc(len(encoded), sizeof(char*))
    if place.names == NULL:
        raise MemoryError()
    for name in encoded:
        place.names[place.name_count] = <const char*> <char*> name
        place.name_count += 1
    return 0
