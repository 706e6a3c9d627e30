# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See proxyout.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from .crc32c cimport CRC32C_START, crc32c_add, crc32c_end
from .endpoint cimport Endpoint, endpoint_as_v6
from .proxywire cimport (PP2_ALPN, PP2_AUTHORITY, PP2_CRC32C, PP2_PREFIX_BYTES, PP2_PROXY, PP2_SIGNATURE_BYTES,
                         PP2_SSL, PP2_SSL_CIPHER, PP2_SSL_CN, PP2_SSL_KEY_ALG, PP2_SSL_SIG_ALG, PP2_SSL_VERSION,
                         PP2_TCP4, PP2_TCP6)

cdef struct Writer:
    uint8_t* out               # borrowed
    uint32_t at
    uint32_t room
    bint full                  # something did not fit: the header must not be used


cdef void _put(Writer* w, const void* data, uint32_t length) noexcept nogil:
    if length > w.room - w.at:
        w.full = True
        return
    memcpy(w.out + w.at, data, length)
    w.at += length


cdef void _put_byte(Writer* w, uint8_t value) noexcept nogil:
    _put(w, &value, 1)


cdef void _put_number(Writer* w, uint32_t value, int bytes) noexcept nogil:
    """In network order."""
    while bytes > 0:
        bytes -= 1
        _put_byte(w, <uint8_t> (value >> (8 * bytes)))


cdef void _put_tlv(Writer* w, int kind, const Span* value) noexcept nogil:
    if value.length == 0:
        return
    _put_byte(w, <uint8_t> kind)
    _put_number(w, value.length, 2)
    _put(w, value.data, value.length)


cdef void _fill_length(Writer* w, uint32_t at) noexcept nogil:
    """The two bytes at `at` say how many follow them."""
    cdef uint32_t length = w.at - at - 2
    if not w.full:
        w.out[at] = <uint8_t> (length >> 8)
        w.out[at + 1] = <uint8_t> length


cdef void _put_addresses(Writer* w, const Endpoint* source, const Endpoint* target) noexcept nogil:
    cdef uint8_t[16] wide
    if source.family == 4 and target.family == 4:
        _put(w, source.address, 4)
        _put(w, target.address, 4)
    else:
        endpoint_as_v6(source, wide)
        _put(w, wide, 16)
        endpoint_as_v6(target, wide)
        _put(w, wide, 16)
    _put(w, &source.port, 2)
    _put(w, &target.port, 2)


cdef void _put_ssl(Writer* w, const ProxyFacts* facts) noexcept nogil:
    cdef uint32_t length_at
    _put_byte(w, PP2_SSL)
    length_at = w.at
    _put_number(w, 0, 2)
    _put_byte(w, facts.client)
    _put_number(w, facts.verify, 4)
    _put_tlv(w, PP2_SSL_VERSION, &facts.version)
    _put_tlv(w, PP2_SSL_CN, &facts.common_name)
    _put_tlv(w, PP2_SSL_KEY_ALG, &facts.key_alg)
    _put_tlv(w, PP2_SSL_SIG_ALG, &facts.sig_alg)
    _put_tlv(w, PP2_SSL_CIPHER, &facts.cipher)
    _fill_length(w, length_at)


cdef uint32_t _put_checksum(Writer* w) noexcept nogil:
    """Room for it; returns where."""
    _put_byte(w, PP2_CRC32C)
    _put_number(w, 4, 2)
    _put_number(w, 0, 4)
    return w.at - 4


cdef void _fill_checksum(Writer* w, uint32_t at) noexcept nogil:
    cdef uint32_t crc = crc32c_end(crc32c_add(CRC32C_START, w.out, w.at))
    cdef uint32_t end = w.at
    w.at = at
    _put_number(w, crc, 4)
    w.at = end


cdef uint32_t proxyout_write(const ProxyFacts* facts, uint8_t* out, uint32_t room) noexcept nogil:
    """How many bytes the header has; 0 when it does not fit."""
    cdef bint v4 = facts.source.family == 4 and facts.target.family == 4
    cdef uint32_t checksum_at = 0
    cdef Writer w
    w.out, w.at, w.room, w.full = out, 0, room, False
    _put(&w, b"\r\n\r\n\x00\r\nQUIT\n", PP2_SIGNATURE_BYTES)
    _put_byte(&w, PP2_PROXY)
    _put_byte(&w, PP2_TCP4 if v4 else PP2_TCP6)
    _put_number(&w, 0, 2)
    _put_addresses(&w, &facts.source, &facts.target)
    _put(&w, facts.ids.data, facts.ids.length)
    if facts.flags & PROXY_CRC32C:
        checksum_at = _put_checksum(&w)
    if facts.flags & PROXY_ALPN:
        _put_tlv(&w, PP2_ALPN, &facts.alpn)
    if facts.flags & PROXY_AUTHORITY:
        _put_tlv(&w, PP2_AUTHORITY, &facts.authority)
    if facts.flags & PROXY_SSL and facts.client:
        _put_ssl(&w, facts)
    _fill_length(&w, PP2_PREFIX_BYTES - 2)
    if w.full:
        return 0
    if checksum_at:
        _fill_checksum(&w, checksum_at)
    return w.at
