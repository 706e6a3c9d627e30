# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See transitions.pxd for the contract and defs.pxd for the diagram.

from libc.stdint cimport uint8_t

from .defs cimport (CONN_ACCEPT, CONN_CLOSED, CONN_CONNECT, CONN_DRAIN, CONN_FREE, CONN_HANDSHAKE, CONN_PROXY_IN,
                    CONN_RELAY, CONN_STATES)

cdef uint8_t _follows[CONN_STATES][CONN_STATES]
_follows[<int> CONN_FREE][<int> CONN_ACCEPT] = 1
_follows[<int> CONN_ACCEPT][<int> CONN_PROXY_IN] = 1
_follows[<int> CONN_ACCEPT][<int> CONN_HANDSHAKE] = 1
_follows[<int> CONN_ACCEPT][<int> CONN_CONNECT] = 1
_follows[<int> CONN_ACCEPT][<int> CONN_CLOSED] = 1
_follows[<int> CONN_PROXY_IN][<int> CONN_HANDSHAKE] = 1
_follows[<int> CONN_PROXY_IN][<int> CONN_CONNECT] = 1
_follows[<int> CONN_PROXY_IN][<int> CONN_CLOSED] = 1
_follows[<int> CONN_HANDSHAKE][<int> CONN_CONNECT] = 1
_follows[<int> CONN_HANDSHAKE][<int> CONN_DRAIN] = 1
_follows[<int> CONN_HANDSHAKE][<int> CONN_CLOSED] = 1
_follows[<int> CONN_CONNECT][<int> CONN_RELAY] = 1
_follows[<int> CONN_CONNECT][<int> CONN_DRAIN] = 1
_follows[<int> CONN_CONNECT][<int> CONN_CLOSED] = 1
_follows[<int> CONN_RELAY][<int> CONN_DRAIN] = 1
_follows[<int> CONN_RELAY][<int> CONN_CLOSED] = 1
_follows[<int> CONN_DRAIN][<int> CONN_CLOSED] = 1


cdef bint may_follow(int state, int following) noexcept nogil:
    return _follows[state][following]
