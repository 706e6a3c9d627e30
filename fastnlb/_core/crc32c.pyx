# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See crc32c.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    POLYNOMIAL = 0x82F63B78

cdef uint32_t[256] _table


cdef void _fill() noexcept nogil:
    cdef uint32_t byte, rest
    cdef int left
    for byte in range(256):
        rest = byte
        left = 8
        while left > 0:
            left -= 1
            rest = (rest >> 1) ^ (<uint32_t> POLYNOMIAL if rest & 1 else 0)
        _table[byte] = rest


_fill()


cdef uint32_t crc32c_add(uint32_t crc, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t i
    for i in range(length):
        crc = (crc >> 8) ^ _table[(crc ^ data[i]) & 0xFF]
    return crc


cdef uint32_t crc32c_end(uint32_t crc) noexcept nogil:
    return ~crc
