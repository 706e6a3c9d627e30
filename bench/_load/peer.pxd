# One client connection: opened, asked, answered, ended.  Plain or TLS is known to this file only.
#
#   peer_open -> OPENING -> TALKING -> (peer_end) -> CLOSING -> peer_close
#
# An exchange (peer_ask) is a command of the origin's protocol, bytes to send after it and bytes to get back.
# peer_advance moves whatever is open, talking or closing as far as it goes without blocking; epoll is
# level-triggered, armed for reading, and for writing only while something waits to be sent.  Nothing is allocated
# but the SSL object.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .target cimport Place

cdef enum:
    COMMAND_BYTES = 9
    EVENTS = 256                # of one epoll_wait

cdef enum Step:
    STEP_WAIT                   # for the next event
    STEP_DONE                   # the exchange, or in CLOSING the end, is complete
    STEP_FAULT                  # the connection is of no more use

cdef enum Stage:
    STAGE_NONE
    STAGE_OPENING
    STAGE_TALKING
    STAGE_CLOSING

cdef struct Peer:
    int fd
    void* ssl                   # owned; NULL: plain
    void* session               # owned; offered by the next peer_open when not NULL
    uint64_t began              # ns; of the unit that is timed
    uint64_t moved              # ns; the last time something happened
    uint64_t to_send            # bytes after the command
    uint64_t to_receive
    uint32_t number             # what epoll says of it
    uint32_t interest           # what epoll watches; 0: nothing yet
    Stage stage
    uint8_t command_left        # bytes of the command not sent yet
    bint echoing                # the origin returns everything, for ever

cdef struct Talk:               # what the peers of a run share
    int epfd
    const Place* place
    uint64_t opened             # connections so far: names and source addresses go round
    uint64_t received           # payload of all peers, in bytes
    uint64_t now                # ns; of this turn
    char* output                # a command, then zeros
    char* input

cdef int talk_make(Talk* talk, const Place* place) except -1
cdef void talk_free(Talk* talk) noexcept nogil
cdef int talk_wait(Talk* talk, void* events, int timeout_ms) noexcept nogil
cdef void talk_command(Talk* talk, char kind, uint64_t length) noexcept nogil

cdef bint peer_open(Talk* talk, Peer* peer) noexcept nogil
cdef void peer_ask(Talk* talk, Peer* peer, bint command, uint64_t to_send, uint64_t to_receive) noexcept nogil
cdef Step peer_advance(Talk* talk, Peer* peer, uint32_t events) noexcept nogil
cdef Step peer_greet(Talk* talk, Peer* peer, bint hello) noexcept nogil
cdef void peer_end(Talk* talk, Peer* peer) noexcept nogil
cdef void peer_close(Peer* peer) noexcept nogil
cdef bint peer_keep_session(Peer* peer) noexcept nogil
cdef Peer* peers_make(uint32_t count) except NULL
cdef void peers_free(Peer* peers, uint32_t count) noexcept nogil

cdef inline bint peer_owes(const Peer* peer) noexcept nogil:
    """Whether its exchange is under way."""
    return peer.command_left != 0 or peer.to_send != 0 or peer.to_receive != 0
