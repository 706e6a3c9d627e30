# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See pick.pxd for the contract.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .board cimport board_sum
from .buckets cimport BUCKET_BITS
from .counters cimport N_PICKS_FAIL_OPEN
from .defs cimport (SCHEDULER_LEAST, SCHEDULER_ROUND, SCHEDULER_TUPLE, TRIED_SERVERS, Conn, Core, Group)
from .endpoint cimport Endpoint, endpoint_local, endpoint_peer
from .mix cimport MIX_STEP, mix64, mix_in

cdef enum:
    NO_SERVER = 0xFFFFFFFF
    MOST_ATTEMPTS = 255        # what Conn.attempts can count
    MOST_SKIPPED = 4096        # places of a sequence looked at before the servers themselves are: a whole round of 40
    MOST_WEIGHED = 64          # servers whose connections are added up for one choice
    MOST_REHASHES = 64


cdef bint pick_server(Core* k, Conn* c) noexcept nogil:
    """The next server to try, into c.server.  False: none is left, each is tried once at most."""
    cdef Group* group = &c.table.groups[c.listener.group]
    cdef uint32_t found
    if group.weighted == 0 or c.attempts == MOST_ATTEMPTS:
        return False
    found = _first(k, c, group) if c.attempts == 0 else _another(c, group)
    if found == NO_SERVER:
        return False
    if c.attempts == 0:
        c.first = found
    c.forced = not server_usable(&group.servers[found])
    k.count[<int> N_PICKS_FAIL_OPEN] += c.forced
    c.attempts += 1
    c.server = found
    _remember(c, _distance(c, group, found))
    return True


cdef uint32_t _first(Core* k, Conn* c, Group* group) noexcept nogil:
    cdef uint32_t found
    if group.scheduler == SCHEDULER_ROUND:
        return _by_sequence(group)
    if group.scheduler == SCHEDULER_LEAST:
        return _by_load(k, group)
    c.key = c.key or _client_key(c, group.scheduler == SCHEDULER_TUPLE)
    found = _by_hash(c, group)
    if found == NO_SERVER:
        found = _walk(group, _owner(group, c.key))
    return found if found != NO_SERVER else _owner(group, c.key)


# --- rr and wrr ------------------------------------------------------------------------------------------------

cdef uint32_t _by_sequence(Group* group) noexcept nogil:
    """The weights are in the sequence already; unusable servers are passed over."""
    cdef uint32_t most = min(group.sequence_length, <uint32_t> MOST_SKIPPED)
    cdef uint32_t found
    while most:
        most -= 1
        found = _next_of_sequence(group)
        if server_usable(&group.servers[found]):
            return found
    found = _next_of_sequence(group)
    if group.sequence_length <= MOST_SKIPPED:
        return found
    most = _walk(group, found)
    return most if most != NO_SERVER else found


cdef inline uint32_t _next_of_sequence(Group* group) noexcept nogil:
    cdef uint32_t found = group.sequence[group.cursor]
    group.cursor += 1
    if group.cursor == group.sequence_length:
        group.cursor = 0
    return found


# --- wlc -------------------------------------------------------------------------------------------------------

cdef uint32_t _by_load(Core* k, Group* group) noexcept nogil:
    """The next choice begins behind this one, so that equal servers take turns."""
    cdef uint32_t found = _least(k, group, False)
    if found == NO_SERVER and group.weighted > MOST_WEIGHED:
        found = _walk(group, _draw(k, group))
    if found == NO_SERVER:
        found = _least(k, group, True)
    group.cursor = (found + 1) % group.weighted
    return found


cdef uint32_t _least(Core* k, Group* group, bint unusable_too) noexcept nogil:
    """The one with the fewest connections by its weight, over all workers; the first such from the cursor on.

    Adding up the places of all workers costs a cache line or more a server.  Of more than 64 servers 64 are therefore
    drawn: the best of so many is nearly the best of all (already the better of two is never far off), and workers
    that draw do not all run to the same server at once.
    """
    cdef uint32_t best = NO_SERVER, at, i
    cdef int64_t load, best_load = 0
    for i in range(min(group.weighted, <uint32_t> MOST_WEIGHED)):
        at = _draw(k, group) if group.weighted > MOST_WEIGHED else (group.cursor + i) % group.weighted
        if not unusable_too and not server_usable(&group.servers[at]):
            continue
        load = board_sum(&k.board, group.servers[at].cell.connections)
        if best == NO_SERVER or load * group.servers[best].weight < best_load * group.servers[at].weight:
            best = at
            best_load = load
    return best


cdef inline uint32_t _draw(Core* k, Group* group) noexcept nogil:
    group.draws += 1
    return <uint32_t> (mix_in(k.board.place, group.draws) % group.weighted)


# --- sch and tch -----------------------------------------------------------------------------------------------

cdef inline uint32_t _owner(const Group* group, uint64_t key) noexcept nogil:
    return group.buckets[key >> (64 - BUCKET_BITS)]


cdef uint32_t _by_hash(Conn* c, Group* group) noexcept nogil:
    """The owner of the client's bucket; while that one may not be used, of another bucket that is the client's too.

    So the clients of a server that is out are spread over all others, each of them always to the same one.
    """
    cdef uint64_t salt
    cdef uint32_t found
    for salt in range(<uint64_t> MOST_REHASHES):
        found = _owner(group, mix64(c.key + salt * <uint64_t> MIX_STEP) if salt else c.key)
        if server_usable(&group.servers[found]) and not (c.attempts and _tried(c, _distance(c, group, found))):
            return found
    return NO_SERVER


cdef uint64_t _client_key(Conn* c, bint both_ends) noexcept nogil:
    """From the client's address, or from addresses and ports of both ends; never 0.

    As a PROXY header said, or else asked of the socket, and only for the groups that need it; a client that is gone
    already gets any server.
    """
    cdef Endpoint end = c.source
    cdef uint64_t key = 0
    if end.family or endpoint_peer(&end, c.client.fd):
        key = pick_endpoint_key(key, &end, both_ends)
    end = c.target
    if both_ends and (end.family or endpoint_local(&end, c.client.fd)):
        key = pick_endpoint_key(key, &end, True)
    return key or 1


cdef uint64_t pick_endpoint_key(uint64_t sum, const Endpoint* end, bint with_port) noexcept nogil:
    """An IPv4 address is hashed as the IPv6 address it is mapped to, so that both kinds of socket agree."""
    cdef uint64_t[2] words
    words[0] = words[1] = 0
    if end.family == 6:
        memcpy(words, end.address, 16)
    else:
        (<unsigned char*> words)[10] = (<unsigned char*> words)[11] = 0xFF
        memcpy(<char*> words + 12, end.address, 4)
    sum = mix_in(mix_in(sum, words[0]), words[1])
    return mix_in(sum, end.port) if with_port else sum


# --- servers one by one ----------------------------------------------------------------------------------------

cdef uint32_t _walk(const Group* group, uint32_t start) noexcept nogil:
    """The next usable server from `start` on."""
    cdef uint32_t i, at
    for i in range(group.weighted):
        at = (start + i) % group.weighted
        if server_usable(&group.servers[at]):
            return at
    return NO_SERVER


cdef uint32_t _another(Conn* c, Group* group) noexcept nogil:
    """After a failure: a usable one that was not tried, then any that was not."""
    cdef uint32_t found = _by_hash(c, group) if group.buckets != NULL else NO_SERVER
    if found == NO_SERVER:
        found = _walk_untried(c, group, False)
    if found == NO_SERVER:
        found = _walk_untried(c, group, True)
    return found


cdef uint32_t _walk_untried(const Conn* c, const Group* group, bint unusable_too) noexcept nogil:
    cdef uint32_t distance, at
    for distance in range(1, min(group.weighted, <uint32_t> TRIED_SERVERS)):
        at = (c.first + distance) % group.weighted
        if not _tried(c, distance) and (unusable_too or server_usable(&group.servers[at])):
            return at
    return NO_SERVER


cdef inline uint32_t _distance(const Conn* c, const Group* group, uint32_t server) noexcept nogil:
    """How far behind the first choice: what `tried` is kept by."""
    return (server + group.weighted - c.first) % group.weighted


cdef inline bint _tried(const Conn* c, uint32_t distance) noexcept nogil:
    """Those too far behind to be remembered count as tried: a connection asks 256 servers at the very most."""
    return distance >= TRIED_SERVERS or (c.tried[distance >> 6] >> (distance & 63)) & 1


cdef inline void _remember(Conn* c, uint32_t distance) noexcept nogil:
    c.tried[distance >> 6] |= (<uint64_t> 1) << (distance & 63)
