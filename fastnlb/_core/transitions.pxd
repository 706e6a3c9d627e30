# Which state of a connection may follow which; one that ends goes to CLOSED, and from there conn_reap frees it.

cdef bint may_follow(int state, int following) noexcept nogil
