# A keyed 64-bit mix: what consistent hashing and drawing at random are made of.
#
# The key is fixed, so that every worker, every heir and every restart sends the same client to the same server.
# It is no secret either: who can choose among addresses can choose among servers.

from libc.stdint cimport uint64_t

cdef enum:
    MIX_KEY = 0x66_61_73_74_6e_6c_62_31
    MIX_STEP = 0x1e3779b97f4a7c15      # odd: counting by it visits every number

cdef inline uint64_t mix64(uint64_t word) noexcept nogil:
    """Every bit of the outcome depends on every bit of the word (Stafford's thirteenth)."""
    word ^= <uint64_t> MIX_KEY
    word = (word ^ (word >> 30)) * <uint64_t> 0xbf58476d1ce4e5b9ULL
    word = (word ^ (word >> 27)) * <uint64_t> 0x94d049bb133111ebULL
    return word ^ (word >> 31)

cdef inline uint64_t mix_in(uint64_t sum, uint64_t word) noexcept nogil:
    """The sum of what came before and one more word; the order counts."""
    return mix64(sum * <uint64_t> MIX_STEP + word)
