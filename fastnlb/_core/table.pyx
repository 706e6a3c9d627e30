# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See table.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from .counters cimport L_BLOCK_BYTES, S_BLOCK_BYTES
from .board cimport BOARD_LISTENER_CELLS, BOARD_SERVER_CELLS, board_listener, board_server
from .defs cimport SCHEDULER_LEAST, SCHEDULER_ROUND, SCHEDULERS, Core, Group, Listener, Server, Table
from .proxylistener cimport proxy_listener_build, proxy_listener_free
from .sys cimport AF_INET, AF_INET6, AF_UNIX, htons, inet_pton, sockaddr_in, sockaddr_in6, sockaddr_un
from .buckets cimport BUCKETS
from .drain cimport drain_index
from .tlslistener cimport tls_listener_build, tls_listener_free


cdef Table* table_build(Core* k, generation, list listeners, list groups) except NULL:
    """listeners: (group index, None or what tls_listener_build takes, handshake ms, connect ms, idle ms, cell, cps,
    max connections, name as bytes, None or what proxy_listener_build takes), the two limits 0 for none; groups:
    (Scheduler, servers, order, drain ms or -1, whether clients keep their address) with servers a list of (address,
    port or 0 for the client's, weight, cell), those of weight 0 last, and order what the scheduler goes by: a list of
    indexes in the order to pick, or for the two by hash what bucket_table made.  Cells are numbers on the board, -1
    for none.

    Raises ValueError for an address that is neither an IP literal nor `unix:/path`, or a number out of range,
    MemoryError.
    """
    cdef Table* table = <Table*> calloc(1, sizeof(Table))
    if table == NULL:
        raise MemoryError()
    try:
        table.generation = generation
        table.groups = <Group*> calloc(len(groups) or 1, sizeof(Group))
        table.listeners = <Listener*> calloc(len(listeners) or 1, sizeof(Listener))
        if table.groups == NULL or table.listeners == NULL:
            raise MemoryError()
        for fields in groups:
            table.group_count += 1
            _build_group(k, &table.groups[table.group_count - 1], fields)
        for fields in listeners:
            _build_listener(k, table, fields)
        if not drain_index(table):
            raise MemoryError()
    except BaseException:
        table_free(table)
        raise
    return table


cdef int _build_group(Core* k, Group* group, tuple fields) except -1:
    scheduler, servers, order, group.drain_ms, group.preserve = fields
    if not 0 <= scheduler < <int> SCHEDULERS:
        raise ValueError(f"there is no scheduler {scheduler}")
    group.scheduler = scheduler
    group.servers = <Server*> calloc(len(servers) or 1, sizeof(Server))
    if group.servers == NULL:
        raise MemoryError()
    for server in servers:
        _add_server(k, group, server)
    if isinstance(order, bytes):
        return _build_buckets(group, order)
    return _build_sequence(group, order)


cdef int _add_server(Core* k, Group* group, tuple fields) except -1:
    cdef Server* server = &group.servers[group.server_count]
    address, port, server.weight, cell = fields
    if server.weight and group.weighted < group.server_count:
        raise ValueError("servers of weight 0 come last")
    _address(server, address, port)
    server.any_port = port == 0 and (server.family == AF_INET or server.family == AF_INET6)
    server.numbers = k.nobody
    if cell >= 0:
        server.cell = board_server(&k.board, _cell(cell, BOARD_SERVER_CELLS))
        if k.server_numbers != NULL:
            server.numbers = <uint64_t*> (k.server_numbers + <size_t> cell * <size_t> S_BLOCK_BYTES)
    elif group.scheduler == SCHEDULER_LEAST:
        group.scheduler = SCHEDULER_ROUND    # what cannot be counted is taken in turn
    group.server_count += 1
    group.weighted += server.weight > 0
    return 0


cdef int _build_sequence(Group* group, list sequence) except -1:
    if group.scheduler not in (SCHEDULER_ROUND, SCHEDULER_LEAST) or (group.weighted and not sequence):
        raise ValueError("a group with servers needs a sequence, or buckets to choose by hash")
    group.sequence = <uint32_t*> calloc(len(sequence) or 1, sizeof(uint32_t))
    if group.sequence == NULL:
        raise MemoryError()
    for i, number in enumerate(sequence):
        if not 0 <= number < group.weighted:
            raise ValueError(f"sequence names server {number} of {group.weighted}")
        group.sequence[<uint32_t> i] = number
    group.sequence_length = <uint32_t> len(sequence)
    return 0


cdef int _build_buckets(Group* group, bytes buckets) except -1:
    cdef const char* given = buckets
    cdef uint32_t i
    size = 4 * <int> BUCKETS if group.weighted else 0
    if group.scheduler in (SCHEDULER_ROUND, SCHEDULER_LEAST) or len(buckets) != size:
        raise ValueError("buckets that are none")
    group.buckets = <uint32_t*> calloc(<int> BUCKETS, sizeof(uint32_t))
    if group.buckets == NULL:
        raise MemoryError()
    memcpy(group.buckets, given, size)
    for i in range(<uint32_t> size // 4):
        if group.buckets[i] >= group.weighted:
            raise ValueError(f"a bucket names server {group.buckets[i]} of {group.weighted}")
    return 0


cdef int _address(Server* server, str address, int port) except -1:
    cdef sockaddr_in* v4 = <sockaddr_in*> &server.address
    cdef sockaddr_in6* v6 = <sockaddr_in6*> &server.address
    encoded = address.encode("ascii", "replace")
    cdef const char* text = encoded
    memset(&server.address, 0, sizeof(server.address))
    if address.startswith("unix:/"):
        return _unix_address(server, address.removeprefix("unix:").encode())
    if inet_pton(AF_INET, text, &v4.sin_addr) == 1:
        server.family = v4.sin_family = AF_INET
        v4.sin_port = htons(<unsigned short> port)
        server.length = sizeof(sockaddr_in)
    elif inet_pton(AF_INET6, text, &v6.sin6_addr) == 1:
        server.family = v6.sin6_family = AF_INET6
        v6.sin6_port = htons(<unsigned short> port)
        server.length = sizeof(sockaddr_in6)
    else:
        raise ValueError(f"{address} is not an IPv4 or IPv6 address")
    return 0


cdef int _unix_address(Server* server, bytes path) except -1:
    cdef sockaddr_un* name = <sockaddr_un*> &server.address
    cdef const char* text = path
    cdef size_t length = len(path)
    if length >= sizeof(name.sun_path):
        raise ValueError(f"the path of a unix socket has {length} bytes, and {sizeof(name.sun_path) - 1} at most")
    server.family = name.sun_family = AF_UNIX
    memcpy(name.sun_path, text, length)
    server.length = sizeof(sockaddr_un)    # the path ends with a zero byte before that
    return 0


cdef int _build_listener(Core* k, Table* table, tuple fields) except -1:
    cdef Listener* listener = &table.listeners[table.listener_count]
    group, tls, listener.handshake_ms, listener.connect_ms, listener.idle_ms, cell, *rest = fields
    cps, max_connections, name, proxy = rest
    if not 0 <= group < table.group_count:
        raise ValueError(f"listener names group {group} of {table.group_count}")
    listener.group = group
    listener.numbers = k.nobody
    if cell >= 0:
        listener.cell = board_listener(&k.board, _cell(cell, BOARD_LISTENER_CELLS))
        if k.listener_numbers != NULL:
            listener.numbers = <uint64_t*> (k.listener_numbers + <size_t> cell * <size_t> L_BLOCK_BYTES)
    elif cps or max_connections:
        raise ValueError("a limit over all workers needs a cell of the board")
    listener.cps = cps
    listener.max_connections = max_connections
    table.listener_count += 1
    _take_name(listener, name)
    if tls is not None:
        listener.tls = tls_listener_build(&k.tls, tls)
    proxy_listener_build(listener, proxy)
    return 0


cdef int _take_name(Listener* listener, bytes name) except -1:
    listener.name = <uint8_t*> malloc(len(name) or 1)
    if listener.name == NULL:
        raise MemoryError()
    memcpy(listener.name, <const char*> name, len(name))
    listener.name_length = <uint32_t> len(name)
    return 0


cdef uint32_t _cell(number, uint32_t cells) except? 0xFFFFFFFF:
    if number >= cells:
        raise ValueError(f"the board has no cell {number}")
    return number


cdef void table_free(Table* table) noexcept nogil:
    cdef uint32_t i
    if table == NULL:
        return
    for i in range(table.group_count):
        free(table.groups[i].servers)
        free(table.groups[i].sequence)
        free(table.groups[i].buckets)
    for i in range(table.listener_count):
        free(table.listeners[i].name)
        tls_listener_free(table.listeners[i].tls)
        proxy_listener_free(&table.listeners[i])
    free(table.groups)
    free(table.places)
    free(table.listeners)
    free(table)


cdef void table_retire(Core* k, Table* table) noexcept nogil:
    if table != NULL:
        table.next = k.retired
        k.retired = table


cdef void table_sweep(Core* k) noexcept nogil:
    """Free the retired tables that no connection refers to any more."""
    cdef Table** link = &k.retired
    cdef Table* table
    while link[0] != NULL:
        table = link[0]
        if table.refs == 0:
            link[0] = table.next
            table_free(table)
        else:
            link = &table.next
