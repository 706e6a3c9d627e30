# Connections to servers that come from the client's own address and port (preserve_client_ip).
#
# A socket may be bound to an address that is not this machine's (IP_TRANSPARENT); the privilege that takes was made
# sure of by the master.  How the server's answers find their way back to it is a matter of routing, not of ours.
# What fails here is nothing that the server did.

from .defs cimport Conn
from .endpoint cimport Endpoint, endpoint_give, endpoint_is_any, endpoint_peer, endpoint_plain
from .sys cimport (AF_INET, AF_INET6, IP_BIND_ADDRESS_NO_PORT, IP_TRANSPARENT, IPPROTO_IP, IPPROTO_IPV6,
                   IPV6_TRANSPARENT, SO_REUSEADDR, SOL_SOCKET, bind, setsockopt, sockaddr, sockaddr_storage,
                   socklen_t)

cdef inline bint asclient_find(const Conn* c, int family, Endpoint* client) noexcept nogil:
    """The client, as an accepted PROXY header says or else its socket.  False: gone, or not of this family."""
    client[0] = c.source
    if not client.family and not endpoint_peer(client, c.client.fd):
        return False
    endpoint_plain(client)
    # The address of all interfaces, which only a header can say, would bind and then stand for our own.
    if endpoint_is_any(client):
        return False
    if client.family == 6:
        return family == AF_INET6
    # So would a multicast address.
    return family == AF_INET and client.address[0] < 224

cdef inline bint asclient_bind(int fd, const Endpoint* client) noexcept nogil:
    """Whether it can be had.  Port 0: connect chooses one, since it knows the server that it must be free for."""
    cdef sockaddr_storage address
    cdef socklen_t length = endpoint_give(client, &address)
    cdef int on = 1
    # The client's port may be in use towards another server, or by a connection that is over (TIME_WAIT).
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))
    if client.port == 0:
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on))
    if client.family == 4:
        setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on))
    else:
        setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on))
    return bind(fd, <sockaddr*> &address, length) == 0
