# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See table.pxd for the contract.

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .board cimport BOARD_LISTENER_CELLS, BOARD_SERVER_CELLS, Board, board_listener, board_server
from .defs cimport Core, Group, Listener, Server, Table
from .proxylistener cimport proxy_listener_build, proxy_listener_free
from .sys cimport AF_INET, AF_INET6, htons, inet_pton, sockaddr_in, sockaddr_in6
from .tlslistener cimport tls_listener_build, tls_listener_free


cdef Table* table_build(Core* k, generation, list listeners, list groups) except NULL:
    """listeners: (group index, None or what tls_listener_build takes, handshake ms, connect ms, idle ms, cell, None
    or what proxy_listener_build takes);
    groups: (servers, sequence) with servers a list of (address, port, cell) and sequence a list of indexes into it,
    in the order to pick.  Cells are numbers on the board, -1 for none.

    Raises ValueError for an address that is no IP literal or a number out of range, MemoryError.
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
        for servers, sequence in groups:
            table.group_count += 1
            _build_group(&k.board, &table.groups[table.group_count - 1], servers, sequence)
        for fields in listeners:
            _build_listener(k, table, fields)
    except BaseException:
        table_free(table)
        raise
    return table


cdef int _build_group(const Board* board, Group* group, list servers, list sequence) except -1:
    cdef uint32_t i
    group.servers = <Server*> calloc(len(servers) or 1, sizeof(Server))
    group.sequence = <uint32_t*> calloc(len(sequence) or 1, sizeof(uint32_t))
    if group.servers == NULL or group.sequence == NULL:
        raise MemoryError()
    for i, (address, port, cell) in enumerate(servers):
        _build_server(&group.servers[i], address, port)
        if cell >= 0:
            group.servers[i].cell = board_server(board, _cell(cell, BOARD_SERVER_CELLS))
    for i, number in enumerate(sequence):
        if not 0 <= number < len(servers):
            raise ValueError(f"sequence names server {number} of {len(servers)}")
        group.sequence[i] = number
    if servers and not sequence:
        raise ValueError("a group with servers needs a sequence")
    group.server_count = <uint32_t> len(servers)
    group.sequence_length = <uint32_t> len(sequence)
    return 0


cdef int _build_server(Server* server, str address, int port) except -1:
    cdef sockaddr_in* v4 = <sockaddr_in*> &server.address
    cdef sockaddr_in6* v6 = <sockaddr_in6*> &server.address
    encoded = address.encode("ascii", "replace")
    cdef const char* text = encoded
    memset(&server.address, 0, sizeof(server.address))
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


cdef int _build_listener(Core* k, Table* table, tuple fields) except -1:
    cdef Listener* listener = &table.listeners[table.listener_count]
    group, tls, listener.handshake_ms, listener.connect_ms, listener.idle_ms, cell, proxy = fields
    if not 0 <= group < table.group_count:
        raise ValueError(f"listener names group {group} of {table.group_count}")
    listener.group = group
    if cell >= 0:
        listener.cell = board_listener(&k.board, _cell(cell, BOARD_LISTENER_CELLS))
    table.listener_count += 1
    if tls is not None:
        listener.tls = tls_listener_build(&k.tls, tls)
    proxy_listener_build(listener, proxy)
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
    for i in range(table.listener_count):
        tls_listener_free(table.listeners[i].tls)
        proxy_listener_free(&table.listeners[i])
    free(table.groups)
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
