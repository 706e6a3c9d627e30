# Servers that take no new connections (unhealthy, of weight 0, removed): what becomes of those they have.
#
# They go on, or, where the group has a drain timeout, are ended that long after it was noticed.  It is noticed by
# looking at the servers once a second, and only while a configuration with such a group is in use and there are
# connections.  Connections are looked at when a server's time is up.  Cells tell servers of two configurations apart;
# a server without one (the board is full) is never drained.

from .defs cimport Core, Table

cdef bint drain_index(Table* table) noexcept nogil
cdef void drain_follow(Core* k) noexcept nogil
cdef void drain_scan(Core* k) noexcept nogil
