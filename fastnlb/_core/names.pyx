# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See names.pxd for the contract.

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset

cdef enum:
    FNV_BASIS = 2166136261
    FNV_PRIME = 16777619


cdef bint names_init(NameIndex* index, uint32_t count) noexcept nogil:
    """Room for `count` names.  False: memory is out."""
    cdef uint32_t slots = 2
    memset(index, 0, sizeof(NameIndex))
    while slots < 2 * count:
        slots *= 2
    index.slots = <NameSlot*> calloc(slots, sizeof(NameSlot))
    index.mask = slots - 1
    return index.slots != NULL


cdef void names_free(NameIndex* index) noexcept nogil:
    cdef uint32_t at
    if index.slots == NULL:
        return
    for at in range(index.mask + 1):
        free(index.slots[at].text)
    free(index.slots)
    memset(index, 0, sizeof(NameIndex))


cdef uint32_t _hash(const char* text, size_t length) noexcept nogil:
    cdef uint32_t value = FNV_BASIS
    cdef size_t i
    for i in range(length):
        value = (value ^ <uint8_t> text[i]) * <uint32_t> FNV_PRIME
    return value


cdef NameSlot* _slot(const NameIndex* index, const char* text, size_t length, uint32_t hashed) noexcept nogil:
    """The slot that holds this text, or the empty one where it would be."""
    cdef uint32_t at = hashed & index.mask
    cdef NameSlot* slot
    while True:
        slot = &index.slots[at]
        if slot.text == NULL:
            return slot
        if slot.hash == hashed and slot.length == length and memcmp(slot.text, text, length) == 0:
            return slot
        at = (at + 1) & index.mask


cdef bint names_add(NameIndex* index, const char* name, size_t length, uint32_t number) noexcept nogil:
    """Add a lower-case name, or a wildcard with its asterisk; of two equal ones the first stays.

    False: the name is longer than a name can be, the index has no room for it, or memory is out.
    """
    cdef uint32_t hashed
    cdef NameSlot* slot
    if length > 1 and name[0] == c"*" and name[1] == c".":
        name += 1
        length -= 1
    if not length or length > NAME_BYTES or index.slots == NULL or 2 * index.used > index.mask:
        return False
    hashed = _hash(name, length)
    slot = _slot(index, name, length, hashed)
    if slot.text != NULL:
        return True
    slot.text = <char*> malloc(length)
    if slot.text == NULL:
        return False
    memcpy(slot.text, name, length)
    slot.hash = hashed
    slot.length = <uint16_t> length
    slot.number = number
    index.used += 1
    return True


cdef uint32_t _get(const NameIndex* index, const char* text, size_t length) noexcept nogil:
    cdef NameSlot* slot = _slot(index, text, length, _hash(text, length))
    return slot.number if slot.text != NULL else <uint32_t> NAME_UNKNOWN


cdef uint32_t names_find(const NameIndex* index, const char* name, size_t length) noexcept nogil:
    """The number of a host name: as it is, then by the wildcard of its parent; NAME_UNKNOWN when there is neither.

    Any case, with or without the final dot.  A wildcard stands for exactly one label (RFC 6125 section 6.4.3).
    """
    cdef char[NAME_BYTES] lower
    cdef const char* dot
    cdef uint32_t number
    cdef size_t i
    if length and name[length - 1] == c".":
        length -= 1
    if not length or length > NAME_BYTES or name[0] == c"." or index.slots == NULL:
        return NAME_UNKNOWN
    for i in range(length):
        lower[i] = name[i] + 32 if c"A" <= name[i] <= c"Z" else name[i]
    number = _get(index, lower, length)
    if number != <uint32_t> NAME_UNKNOWN:
        return number
    dot = <const char*> memchr(lower, c".", length)
    return _get(index, dot, length - <size_t> (dot - lower)) if dot != NULL else <uint32_t> NAME_UNKNOWN
