# Host names to numbers: what the SNI extension of a ClientHello is looked up in.
#
# Open addressing in one array, at most half full, so the cost does not grow with the number of names.  A name is
# stored in lower case; a wildcard "*.example.com" as ".example.com", which no host name can equal.  Built once,
# then only read.  Names come from certificates, so whoever may choose the keys may break the service anyway:
# a plain hash (FNV-1a) is enough.

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    NAME_BYTES = 253           # RFC 1035 section 2.3.4, without the final dot
    NAME_UNKNOWN = 0xFFFFFFFF

cdef struct NameSlot:
    char* text                 # owned; NULL = empty slot
    uint32_t hash
    uint32_t number
    uint16_t length

cdef struct NameIndex:
    NameSlot* slots            # owned
    uint32_t mask              # slots - 1, a power of two less one
    uint32_t used

cdef bint names_init(NameIndex* index, uint32_t count) noexcept nogil
cdef bint names_add(NameIndex* index, const char* name, size_t length, uint32_t number) noexcept nogil
cdef uint32_t names_find(const NameIndex* index, const char* name, size_t length) noexcept nogil
cdef void names_free(NameIndex* index) noexcept nogil
