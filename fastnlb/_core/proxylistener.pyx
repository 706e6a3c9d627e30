# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See proxylistener.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from .defs cimport PROXY_IDS_BYTES, Listener, Network, ProxyOut


cdef int proxy_listener_build(Listener* listener, proxy) except -1:
    """proxy: None, or (what is sent, networks that headers are accepted from), with what is sent None or (PROXY_*
    flags, TLVs as they are) and networks a list of (16 bytes, how many bits of them count).

    Raises ValueError for TLVs that are too long or a network that is none, MemoryError.
    """
    if proxy is None:
        return 0
    out, networks = proxy
    if out is not None:
        _build_out(listener, out[0], out[1])
    if networks:
        _build_networks(listener, networks)
    return 0


cdef int _build_out(Listener* listener, int flags, bytes ids) except -1:
    if len(ids) > PROXY_IDS_BYTES:
        raise ValueError(f"the ids take {len(ids)} bytes of {<int> PROXY_IDS_BYTES}")
    listener.proxy = <ProxyOut*> calloc(1, sizeof(ProxyOut))
    if listener.proxy == NULL:
        raise MemoryError()
    listener.proxy.flags = <uint8_t> flags
    listener.proxy.ids_length = <uint32_t> len(ids)
    memcpy(listener.proxy.ids, <const char*> ids, len(ids))
    return 0


cdef int _build_networks(Listener* listener, list networks) except -1:
    cdef Network* network
    listener.trusted = <Network*> calloc(len(networks), sizeof(Network))
    if listener.trusted == NULL:
        raise MemoryError()
    for address, bits in networks:
        if len(address) != 16 or not 0 <= bits <= 128:
            raise ValueError(f"{address!r}/{bits} is no network")
        network = &listener.trusted[listener.trusted_count]
        memcpy(network.address, <const char*> address, 16)
        network.bits = <uint8_t> bits
        listener.trusted_count += 1
    return 0


cdef void proxy_listener_free(Listener* listener) noexcept nogil:
    free(listener.proxy)
    free(listener.trusted)
