# Plain TCP: one system call per attempt, nothing held back.

from .defs cimport Xport

cdef const Xport* plain_xport() noexcept nogil
