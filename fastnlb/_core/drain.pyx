# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See drain.pxd for the contract.

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, qsort

from .board cimport ServerCell
from .conn cimport conn_end
from .defs cimport (CONN_RELAY, FAULT_DRAIN, OVER_NOT, OVER_UNHEALTHY, OVER_WITHDRAWN, Conn, Core, Group, Place,
                    Server, Table)
from .pick cimport server_usable
from .slab cimport slab_at, slab_slots

cdef enum:
    SCAN_MS = 1000


# --- who is who in another configuration -----------------------------------------------------------------------

cdef bint drain_index(Table* table) noexcept nogil:
    """Put the servers of a new table in the order of their cells.  False: memory is out."""
    cdef uint32_t total = 0, g, s
    for g in range(table.group_count):
        total += table.groups[g].server_count
    table.places = <Place*> calloc(total or 1, sizeof(Place))
    if table.places == NULL:
        return False
    for g in range(table.group_count):
        for s in range(table.groups[g].server_count):
            if table.groups[g].servers[s].cell != NULL:
                table.places[table.place_count].group = &table.groups[g]
                table.places[table.place_count].server = &table.groups[g].servers[s]
                table.place_count += 1
    qsort(table.places, table.place_count, sizeof(Place), &_compare)
    return True


cdef int _compare(const void* one, const void* two) noexcept nogil:
    cdef size_t a = <size_t> (<const Place*> one).server.cell
    cdef size_t b = <size_t> (<const Place*> two).server.cell
    return (a > b) - (a < b)


cdef Place* _find(Table* table, const ServerCell* cell) noexcept nogil:
    cdef uint32_t low = 0, high = table.place_count, middle
    while low < high:
        middle = (low + high) // 2
        if <size_t> table.places[middle].server.cell < <size_t> cell:
            low = middle + 1
        else:
            high = middle
    return &table.places[low] if low < table.place_count and table.places[low].server.cell == cell else NULL


cdef void drain_follow(Core* k) noexcept nogil:
    """A new table is in force: tell each server and group of the retired ones what it is there."""
    cdef Table* table = k.retired
    cdef uint32_t g
    k.drains = _drains(k.table)
    while table != NULL:
        k.drains = k.drains or _drains(table)
        table = table.next
    table = k.retired if k.drains else NULL
    while table != NULL:
        for g in range(table.group_count):
            _follow(k.table, &table.groups[g])
        table = table.next


cdef bint _drains(const Table* table) noexcept nogil:
    cdef uint32_t g
    for g in range(table.group_count):
        if table.groups[g].drain_ms >= 0:
            return True
    return False


cdef void _follow(Table* newest, Group* group) noexcept nogil:
    """A group lives on as the one that has a server of it."""
    cdef Place* place
    cdef uint32_t s
    group.heir = NULL
    for s in range(group.server_count):
        place = _find(newest, group.servers[s].cell) if group.servers[s].cell != NULL else NULL
        group.servers[s].heir = place.server if place != NULL else NULL
        if place != NULL:
            group.heir = place.group


# --- once a second ---------------------------------------------------------------------------------------------

cdef void drain_scan(Core* k) noexcept nogil:
    cdef Table* table = k.retired
    cdef bint due
    if k.now_ms < k.scan_ms:
        return
    # After a pause, in which there was no connection, what was seen before it says nothing.
    due = _scan_table(k, k.table, k.now_ms > k.scan_ms + SCAN_MS)
    while table != NULL:
        due = _scan_table(k, table, k.now_ms > k.scan_ms + SCAN_MS) or due
        table = table.next
    k.scan_ms = k.now_ms + SCAN_MS
    if due:
        _end_due(k)


cdef bint _scan_table(Core* k, Table* table, bint anew) noexcept nogil:
    """Mark the servers whose time is up.  True: one of them has connections here."""
    cdef bint due = False
    cdef uint32_t g, s
    cdef Group* group
    cdef Server* server
    for g in range(table.group_count):
        group = &table.groups[g]
        for s in range(group.server_count):
            server = &group.servers[s]
            if anew:
                server.since_ms = 0
            server.over = _over(k, server, server if table == k.table else server.heir, _timeout(k, table, group))
            due = due or (server.over != OVER_NOT and server.cell.connections[k.board.place] != 0)
    return due


cdef int64_t _timeout(const Core* k, const Table* table, const Group* group) noexcept nogil:
    """As the newest configuration has it; a group that is gone keeps what it had."""
    return group.heir.drain_ms if table != k.table and group.heir != NULL else group.drain_ms


cdef int _over(Core* k, Server* server, const Server* now, int64_t timeout_ms) noexcept nogil:
    cdef bint withdrawn = now == NULL or now.weight == 0
    if server.cell == NULL or not (withdrawn or not server_usable(server)):
        server.since_ms = 0
        return OVER_NOT
    server.since_ms = server.since_ms or k.now_ms
    if timeout_ms < 0 or k.now_ms < server.since_ms + timeout_ms:
        return OVER_NOT
    return OVER_WITHDRAWN if withdrawn else OVER_UNHEALTHY


cdef void _end_due(Core* k) noexcept nogil:
    """A connection that was sent to an unhealthy server for want of a better one is left alone by its health."""
    cdef uint32_t slot
    cdef Conn* c
    cdef int over
    for slot in range(slab_slots(&k.slab)):
        c = slab_at(&k.slab, slot)
        if c.state == CONN_RELAY:
            over = c.table.groups[c.listener.group].servers[c.server].over
            if over == OVER_WITHDRAWN or (over == OVER_UNHEALTHY and not c.forced):
                conn_end(k, c, FAULT_DRAIN)
