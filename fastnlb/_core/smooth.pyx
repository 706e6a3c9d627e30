# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# The round of smooth weighted round robin, made beforehand: as long as the sum of the weights.  Servers of one weight
# take turns by their index whatever the others do, so a place asks every weight there is and not every server.

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free


cdef struct Rank:
    # The servers of one weight.  `current` is that of the next in turn; the ones who had theirs are `length` behind.
    int64_t weight, current
    uint32_t size, turn
    uint32_t* members  # into the one array of all of them, not owned


def smooth_round(list weights):
    """The indexes of the servers in the order to pick them; weights are 1 or more.  Raises MemoryError."""
    cdef dict ranks = _by_weight(weights)
    cdef uint32_t count = <uint32_t> len(ranks), length = <uint32_t> sum(weights)
    cdef Rank* rank = <Rank*> calloc(count or 1, sizeof(Rank))
    cdef uint32_t* members = <uint32_t*> calloc(len(weights) or 1, sizeof(uint32_t))
    cdef uint32_t* order = <uint32_t*> calloc(length or 1, sizeof(uint32_t))
    try:
        if rank == NULL or members == NULL or order == NULL:
            raise MemoryError()
        _enter(rank, members, ranks)
        with nogil:
            _fill(order, length, rank, count)
        return [order[i] for i in range(length)]
    finally:
        free(rank)
        free(members)
        free(order)


cdef dict _by_weight(list weights):
    cdef dict ranks = {}
    for index, weight in enumerate(weights):
        ranks.setdefault(weight, []).append(index)
    return ranks


cdef void _enter(Rank* rank, uint32_t* members, dict ranks) except *:
    for weight, indexes in ranks.items():
        rank.weight, rank.size, rank.members = weight, <uint32_t> len(indexes), members
        for index in indexes:
            members[0] = index
            members += 1
        rank += 1


cdef void _fill(uint32_t* order, uint32_t length, Rank* rank, uint32_t count) noexcept nogil:
    """Each pick raises every server by its weight, takes the highest (of equals the first), lowers it by the sum."""
    cdef uint32_t place, best, i
    for place in range(length):
        best = 0
        for i in range(count):
            rank[i].current += rank[i].weight
            if rank[i].current > rank[best].current or (
                rank[i].current == rank[best].current and _next(&rank[i]) < _next(&rank[best])
            ):
                best = i
        order[place] = _take_turn(&rank[best], length)


cdef inline uint32_t _next(const Rank* rank) noexcept nogil:
    return rank.members[rank.turn]


cdef inline uint32_t _take_turn(Rank* rank, uint32_t length) noexcept nogil:
    cdef uint32_t index = _next(rank)
    rank.turn += 1
    if rank.turn == rank.size:
        rank.turn = 0
        rank.current -= length
    return index
