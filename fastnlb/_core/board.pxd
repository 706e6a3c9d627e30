# The shared board as the core sees it: fastnlb/board.py has the idea and the same layout; a test compares the two.
#
# Counts of this worker are written by it alone, in its own place of a cell; `failures` and `due_ns` are shared and
# only touched atomically.  So is the number of places that were ever taken, behind the cells: most places never are,
# and adding up all of them was most of what a choice by load cost.  Cells are borrowed: the board is mapped for as
# long as the process lives.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "sys.h" nogil:
    uint32_t atomic_load32(const uint32_t* at) noexcept
    void atomic_store32(uint32_t* at, uint32_t value) noexcept
    uint32_t atomic_add32(uint32_t* at, uint32_t value) noexcept
    uint64_t atomic_load64(const uint64_t* at) noexcept
    bint atomic_swap64(uint64_t* at, uint64_t expected, uint64_t value) noexcept
    int32_t atomic_loadi32(const int32_t* at) noexcept
    void atomic_storei32(int32_t* at, int32_t value) noexcept

cdef enum:                     # of Health in fastnlb/board.py
    HEALTH_INITIAL
    HEALTH_HEALTHY
    HEALTH_UNHEALTHY
    HEALTH_UNAVAILABLE

cdef enum:
    BOARD_CACHE_LINE = 64
    BOARD_SERVER_CELLS = 65536
    BOARD_LISTENER_CELLS = 16384

cdef struct ServerCell:
    uint32_t health            # written by the control process
    uint32_t reason            # likewise
    uint32_t failures          # attempts to connect that failed since one that did not
    uint32_t[13] spare
    int32_t[1] connections     # one for each place

cdef struct ListenerCell:
    uint64_t due_ns            # CLOCK_MONOTONIC: when the next new connection is due (cps)
    uint64_t[7] spare
    int32_t[1] connections     # one for each place

cdef struct Board:
    char* base                 # borrowed; NULL = an engine of its own, without a board
    uint32_t places
    uint32_t place             # this worker's

cdef inline size_t board_stride(const Board* board) noexcept nogil:
    cdef size_t counts = 4 * <size_t> board.places
    return BOARD_CACHE_LINE + (counts + BOARD_CACHE_LINE - 1) // BOARD_CACHE_LINE * BOARD_CACHE_LINE

cdef inline ServerCell* board_server(const Board* board, uint32_t cell) noexcept nogil:
    return <ServerCell*> (board.base + cell * board_stride(board))

cdef inline ListenerCell* board_listener(const Board* board, uint32_t cell) noexcept nogil:
    return <ListenerCell*> (board.base + (<size_t> BOARD_SERVER_CELLS + cell) * board_stride(board))

cdef inline uint64_t* board_taken(const Board* board) noexcept nogil:
    """How many places were ever taken: no worker has one at or behind that."""
    return <uint64_t*> (board.base + (<size_t> BOARD_SERVER_CELLS + BOARD_LISTENER_CELLS) * board_stride(board))

cdef inline void board_take_place(const Board* board) noexcept nogil:
    """To be called before anything is counted in this worker's place.  Workers that start together may race."""
    cdef uint64_t* taken = board_taken(board)
    cdef uint64_t seen = atomic_load64(taken)
    while seen <= board.place and not atomic_swap64(taken, seen, <uint64_t> board.place + 1):
        seen = atomic_load64(taken)

cdef inline int64_t board_sum(const Board* board, const int32_t* connections) noexcept nogil:
    """The count over all workers.  Who must not overlook what another has just written puts a fence before it."""
    cdef int64_t total = 0
    cdef uint64_t i, taken = atomic_load64(board_taken(board))
    for i in range(taken):
        total += atomic_loadi32(&connections[i])
    return total

cdef inline void board_count(const Board* board, int32_t* connections, int32_t change) noexcept nogil:
    """Add to this worker's own count."""
    atomic_storei32(&connections[board.place], connections[board.place] + change)
