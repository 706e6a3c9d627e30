# Plain TCP: one system call per attempt, nothing held back.  TLS reads and writes its ciphertext through it too.
# Splicing raises SIGPIPE where a peer is gone: the process must ignore it, as Python does.

from .defs cimport Core, Half, Step, Xport

cdef const Xport* plain_xport() noexcept nogil
cdef Step plain_pull(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil
cdef Step plain_push(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil
