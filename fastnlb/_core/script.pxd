# A transport that follows a script, so that the relay and the state machine are tested without sockets.
#
# Each call takes the script's next line: a Step and, for MOVED, how many bytes.  Past the end pull and push answer
# WANT_READ and WANT_WRITE.  What was pushed is kept; what is pulled is a running count, so order and completeness
# show.  Used by _testing only.

from libc.stdint cimport uint8_t, uint32_t

from .defs cimport Half, Xport

cdef enum:
    SCRIPT_LINES = 64
    SCRIPT_BYTES = 1048576

cdef struct Script:
    uint8_t pull_steps[SCRIPT_LINES]
    uint32_t pull_sizes[SCRIPT_LINES]
    uint32_t pull_count
    uint32_t pull_at
    uint8_t push_steps[SCRIPT_LINES]
    uint32_t push_sizes[SCRIPT_LINES]
    uint32_t push_count
    uint32_t push_at
    uint32_t pulls             # calls made
    uint32_t pushes
    uint32_t shuts
    uint8_t next_byte          # what the next pulled byte will be
    uint8_t fault              # what a FAULT line leaves in half.fault
    uint32_t received          # bytes pushed to this half
    uint8_t bytes[SCRIPT_BYTES]

cdef const Xport* script_xport() noexcept nogil
