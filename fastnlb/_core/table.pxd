# A compiled configuration: from the worker's plain tuples to the arrays the loop reads.
#
# The only part of the core besides Engine that touches Python objects; it never runs inside the loop.  A Table is
# freed when it is retired and its last connection has ended.

from .defs cimport Core, Table

cdef Table* table_build(Core* k, generation, list listeners, list groups) except NULL
cdef void table_free(Table* table) noexcept nogil
cdef void table_retire(Core* k, Table* table) noexcept nogil
cdef void table_sweep(Core* k) noexcept nogil
