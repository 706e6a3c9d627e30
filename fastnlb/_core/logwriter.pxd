# The writer of the access log: one thread, so that a slow disk holds up nobody.
#
# The event loop puts lines into the ring and once a turn looks whether the writer wants to be woken: at the first
# line when it sleeps, and at a quarter of the ring while it gathers (for a tenth of a second), so that many lines
# cost one wake and one write.  What cannot be written is dropped and counted:
#
#   the sink reports an error (a full disk, a reader that is gone)    what was to be written with that call
#   the ring is full, as the sink takes lines too slowly              the new line, by the loop
#
# A regular file may block, as its disk does.  Anything else (pipe, terminal, socket) is asked first and gets no
# more than PIPE_BUF at a time, so that the lines of several workers do not mix.
#
# Created by logwriter_new, which starts the thread; ended by logwriter_end.  All else but the thread's own function
# is for the thread of the event loop.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .logring cimport LogRing
from .sys cimport pthread_t

cdef enum:
    LOG_RING_BYTES = 1048576
    LOG_CHUNK_BYTES = 65536

cdef struct LogWriter:
    LogRing ring
    uint64_t told          # the loop's: where the ring's head was when the writer was last thought of
    uint64_t tell_ms       # the loop's: when the next NOTICE_LOG may be given
    uint32_t pid
    uint8_t slow           # the loop's: a line was dropped because the ring was full
    int wake               # owned: an eventfd that the writer sleeps at
    int ended              # owned: an eventfd that is readable when the thread has ended
    uint64_t bell          # atomic: so many bytes in the ring wake the writer
    int mail               # atomic: where to write from now on, for the writer to fetch; MAIL_* of logwriter.pyx
    uint64_t mail_head     # where the ring's head was then: what was put before goes to where it was to go
    int stop               # atomic
    int error              # atomic: errno of a write that failed; 0 = none did since it was last asked for
    uint64_t* lines        # borrowed: a number that only the writer grows
    uint64_t* dropped      # borrowed: a number that both grow
    pthread_t thread
    int fd                 # owned by the writer; -1 = nowhere
    bint file              # a regular one
    bint socket
    uint64_t until         # no line is taken from there on
    bint torn              # a write ended within a line: the next one begins a line
    uint32_t led           # the chunk begins with a line end that ends no line of it
    uint32_t length        # of the chunk
    uint32_t done          # so many of these are written
    char[LOG_CHUNK_BYTES] chunk

cdef LogWriter* logwriter_new(uint64_t* lines, uint64_t* dropped, uint64_t ring_bytes) noexcept nogil
cdef void logwriter_send_to(LogWriter* w, int fd) noexcept nogil
cdef void logwriter_turn(LogWriter* w) noexcept nogil
cdef void logwriter_drop(LogWriter* w) noexcept nogil
cdef void logwriter_end(LogWriter* w) noexcept nogil
