# Whose PROXY protocol header is awaited, and taking it off the socket.
#
# The bytes are looked at where they are (MSG_PEEK) until the header is whole, and then exactly the header is taken:
# what follows it, a ClientHello as a rule, stays for whoever reads next.  So nothing has to be kept meanwhile.

from .defs cimport Conn, Core, Listener, Step

cdef bint proxyread_trusts(Core* k, const Listener* listener, int fd) noexcept nogil
cdef Step proxyread_step(Core* k, Conn* c) noexcept nogil
