# Pipes through which bulk goes from socket to socket without being copied, lent only while bytes are in flight.
#
# Like the buffers of pool.pxd: last in, first out, and a borrower that finds none copies instead.  A pipe costs two
# descriptors and room in the kernel, so there are at most as many as the borrower allows, made when first needed;
# those that nobody needed between two looks are closed.  One that is given back with bytes in it is closed: what is
# left in it belongs to a connection that has ended.  With no connection open `lent` is 0 and `made` = `spare_count`.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    PIPE_BYTES = 1048576   # asked for, and the most one holds; a slot of 4 KiB takes one fragment, however small
    PIPE_LEAST = 65536     # below this (the user has too much in pipes) copying is cheaper
    PIPES_SPARE = 64
    PIPES_LOOK_MS = 10000
    PIPES_RETRY_MS = 1000  # after the system refused one

cdef struct Pipe:
    Pipe* next             # list of the spare; meaningless while lent
    int source             # owned: the end that is read
    int sink               # owned
    uint32_t held          # bytes in it

cdef struct Pipes:
    Pipe* spare            # owned
    uint32_t spare_count
    uint32_t needless      # the fewest that were spare since the last look
    uint32_t made          # open: spare + lent
    uint32_t lent
    uint64_t look_ms       # when to look next
    uint64_t retry_ms      # none is made before

cdef Pipe* pipe_get(Pipes* pipes, uint32_t most, uint64_t now_ms) noexcept nogil
cdef void pipe_put(Pipes* pipes, Pipe* pipe) noexcept nogil
cdef void pipes_look(Pipes* pipes, uint64_t now_ms) noexcept nogil
cdef void pipes_clear(Pipes* pipes) noexcept nogil
