# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See limit.pxd for the contract.

from libc.stdint cimport uint64_t

from .board cimport atomic_load64, atomic_swap64, board_count, board_sum
from .clock cimport clock_ns
from .counters cimport L_DROPPED_CPS, L_DROPPED_MAX_CONNECTIONS, N_DROPPED_CPS, N_DROPPED_MAX_CONNECTIONS
from .defs cimport Core, Listener
from .sys cimport atomic_fence

cdef enum:
    SECOND_NS = 1000000000
    BURST_NS = 50000000        # how early a connection may come: workers that pause for less lose nothing


cdef bint limit_enter(Core* k, Listener* listener) noexcept nogil:
    """True: the connection is counted on its listener until limit_leave.  False: it must be refused."""
    if listener.cell == NULL:
        return True            # table_build gives such a listener no limits
    board_count(&k.board, listener.cell.connections, 1)
    if listener.max_connections and _is_full(k, listener):
        k.count[<int> N_DROPPED_MAX_CONNECTIONS] += 1
        listener.numbers[<int> L_DROPPED_MAX_CONNECTIONS] += 1
    elif listener.cps and not _is_due(&listener.cell.due_ns, listener.cps):
        k.count[<int> N_DROPPED_CPS] += 1
        listener.numbers[<int> L_DROPPED_CPS] += 1
    else:
        return True
    limit_leave(k, listener)
    return False


cdef void limit_leave(Core* k, Listener* listener) noexcept nogil:
    if listener.cell != NULL:
        board_count(&k.board, listener.cell.connections, -1)


cdef bint _is_full(Core* k, Listener* listener) noexcept nogil:
    """Whether the limit is passed, this connection included."""
    # Each worker's own count is out before it reads the others', or two could both find the last place free.
    atomic_fence()
    return board_sum(&k.board, listener.cell.connections) > <long long> listener.max_connections


cdef bint _is_due(uint64_t* due_ns, uint64_t rate) noexcept nogil:
    """Take a connection's turn at `rate` per second; False when it is too early."""
    cdef uint64_t interval = SECOND_NS // rate
    cdef uint64_t due, start, now
    while True:
        # The clock after the cell: what another worker stored came from an earlier look at the clock than this one,
        # so what lies further ahead than this rate can bring about was left by a lower rate, and is not waited for.
        due = atomic_load64(due_ns)
        # Not the coarse clock of the loop: at its tick of milliseconds a whole burst would seem to come at once.
        now = clock_ns()
        start = max(due, now)
        if start > now + BURST_NS + interval:
            start = now + BURST_NS
        if start > now + BURST_NS:
            return False
        if atomic_swap64(due_ns, due, start + interval):
            return True
