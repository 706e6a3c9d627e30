# CRC-32C (Castagnoli, reflected): the checksum of the PROXY protocol.  Of "123456789" it is E3069283.
#
# Start with CRC32C_START, add the bytes in as many pieces as there are, and take crc32c_end.

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    CRC32C_START = 0xFFFFFFFF

cdef uint32_t crc32c_add(uint32_t crc, const uint8_t* data, uint32_t length) noexcept nogil
cdef uint32_t crc32c_end(uint32_t crc) noexcept nogil
