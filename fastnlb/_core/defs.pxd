# Every type of the data plane in one place: read this first.
#
#   ACCEPT -> PROXY_IN -> HANDSHAKE -> CONNECT -> RELAY -> DRAIN -> CLOSED
#        \________\____^_____________/^     \________________/^
#     only peers that are trusted with it pass through PROXY_IN; plain TCP listeners skip HANDSHAKE; any state may
#     fall to DRAIN or CLOSED, those before HANDSHAKE to CLOSED only
#
# A connection is two equal halves (client, server) and two flows (up: client to server, down: server to client).
# Only conn.pyx writes Conn.state.  Beside each pointer stands who owns what it points to.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from .board cimport Board, ListenerCell, ServerCell
from .counters cimport L_NUMBERS
from .endpoint cimport Endpoint
from .labels cimport LABEL_CIPHER_COUNT
from .logwriter cimport LogWriter
from .names cimport NameIndex
from .pipes cimport Pipe, Pipes
from .pool cimport Buffer, Pool
from .sys cimport sockaddr_storage, socklen_t
from .tlsapi cimport TlsApi
from .wheel cimport Timer, Wheel

cdef enum Step:            # what one attempt at I/O did
    STEP_MOVED             # progress
    STEP_WANT_READ         # would block until the descriptor is readable
    STEP_WANT_WRITE        # would block until the descriptor is writable
    STEP_EOF               # the peer finished cleanly
    STEP_FAULT             # half.fault says why

cpdef enum ConnState:
    CONN_FREE              # the slot is in the slab's free list
    CONN_ACCEPT            # accepted, nothing done yet
    CONN_PROXY_IN          # the peer's PROXY header is awaited
    CONN_HANDSHAKE         # TLS with the client
    CONN_CONNECT           # TCP connection to a server under way
    CONN_RELAY             # bytes both ways
    CONN_DRAIN             # what is left is flushed; each half ends as its `ending` says
    CONN_CLOSED            # descriptors closed; waiting to be reaped
    CONN_STATES            # how many there are

cpdef enum Fault:          # why a half or a connection ended other than by two clean ends of stream
    FAULT_NONE
    FAULT_RESET            # the peer reset its connection
    FAULT_IO               # another socket error
    FAULT_TLS              # the TLS library refused what the peer sent
    FAULT_MEMORY           # out of memory
    FAULT_PROXY            # the peer's PROXY header is malformed, or the peer left before its end
    FAULT_PROXY_TIMEOUT
    FAULT_HANDSHAKE        # the handshake failed
    FAULT_ABORTED          # the client left during the handshake
    FAULT_HANDSHAKE_TIMEOUT
    FAULT_SHED             # not through its handshake, and its place was needed for another client
    FAULT_CONNECT          # every server refused or could not be reached
    FAULT_CONNECT_TIMEOUT
    FAULT_NO_SERVER        # the server group has no server that may be used
    FAULT_IDLE             # nothing moved in either direction for the idle timeout
    FAULT_SHUTDOWN         # the drain deadline of the process
    FAULT_DRAIN            # its server takes no connections any more, and the group's drain timeout has passed
    FAULTS                 # how many there are

cpdef enum StopReason:     # why Engine.run came back to Python
    STOP_WATCH             # a watched descriptor is readable
    STOP_DRAINED           # draining, and the last connection has ended
    STOP_NOTICE            # Engine.notices() has something to log
    STOP_PARTED            # sockets that were parting are closed
    STOP_FAULT             # the poller failed; the worker must exit

cpdef enum Notice:
    NOTICE_NONE
    NOTICE_DESCRIPTORS     # accepting stopped: the descriptor limit is reached
    NOTICE_RESUMED         # accepting goes on
    NOTICE_SHEDDING        # clients that are not through their handshake are ended to make room
    NOTICE_LOG             # lines of the access log are dropped

cdef enum FlowState:
    FLOW_OPEN              # source may still give bytes
    FLOW_ENDED             # source has ended; what is held must still be passed on
    FLOW_DONE              # all passed on, and the end too
    FLOW_BROKEN            # the destination takes no more

cdef enum Ending:          # how a half is to be closed in DRAIN
    END_CLOSE              # nothing owed: close
    END_LINGER             # end of stream sent; read and discard until the peer ends, so that no RST overtakes it
    END_RESET              # RST, once everything sent before has been acknowledged

cdef enum TlsMode:
    TLS_NONE
    TLS_MEMORY             # ciphertext through memory BIOs: fewest system calls for small and upward traffic
    TLS_DESCRIPTOR         # the library reads and writes the socket: fewest copies for downward bulk

ctypedef Step (*pull_fn)(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil
ctypedef Step (*push_fn)(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil
ctypedef Step (*pipe_fn)(Core* k, Half* half, Pipe* pipe, size_t* moved) noexcept nogil
ctypedef Step (*half_fn)(Core* k, Half* half) noexcept nogil

cdef struct Xport:         # the only virtual calls in the core: plain, TLS, or a test's script
    pull_fn pull           # bytes from the peer; MOVED with *moved 0: work was done and there may be more
    push_fn push           # bytes to the peer; MOVED sets *moved > 0
    half_fn flush          # pass on what the transport itself holds back
    half_fn shut           # end of stream to the peer; call again after WANT_WRITE
    pipe_fn draw           # bytes from the peer into an empty pipe; MOVED with *moved 0: pull says what there is.
    pipe_fn pour           # bytes in a pipe to the peer; MOVED sets *moved > 0.  Both NULL: its bytes go by buffer

cdef struct Half:
    int fd                 # owned; -1 when closed
    uint8_t readable       # epoll said so and no read has found it empty since
    uint8_t writable
    uint8_t exhaust        # read until EAGAIN: behind a short read may be an end of stream or urgent data
    uint8_t unflushed      # the transport holds bytes back: flush before anything else is written
    uint8_t finished       # read side: the peer's FIN was read
    uint8_t last           # write side: what it is given now is the last, and the end of stream follows at once
    uint8_t closes         # write side: its end is that of the connection, and closing says it
    uint8_t shut           # write side: our end of stream is out
    uint8_t lost           # write side: the peer takes no more
    uint8_t spoiled        # a write found the peer gone by reset: its end of stream is not a clean one
    uint8_t ending         # Ending, in DRAIN
    uint8_t mode           # TlsMode
    uint8_t more           # TLS: the record layer may still give plaintext without new ciphertext
    uint8_t ended          # TLS: the client's close_notify was read
    uint8_t notified       # TLS: our close_notify has been written
    uint8_t resting        # TLS: what only use needs is given back, and there are no BIOs (bio_rest, bio_wake)
    uint8_t answered       # TLS: it was at rest after its first answer
    uint8_t watched        # TLS: the timer will look whether it is still
    uint8_t fault          # Fault; sticky
    uint8_t alert_sent     # TLS: our last alert besides close_notify, 0 = none
    uint8_t alert_received    # TLS: likewise the client's
    uint32_t window_in     # TLS: plaintext read since the mode was last weighed
    uint32_t window_out    # TLS: plaintext written in whole records since then
    uint32_t barren        # TLS: records without plaintext since the last one with
    uint32_t reason        # TLS: the library's reason for FAULT_TLS (sslerr.h)
    const Xport* xport     # borrowed: static
    void* ssl              # owned: SSL*, freed at reap
    void* read_bio         # borrowed from ssl; NULL unless TLS_MEMORY, at rest, and until there is ciphertext
    void* write_bio        # likewise; NULL unless TLS_MEMORY, and at rest
    const char* pending    # borrowed from the flow's held buffer: what a blocked SSL_write must be given again
    uint32_t pending_length
    uint32_t held_back     # TLS: ciphertext in the write BIO that waits for company: session tickets
    uint32_t prepaid       # bytes of the flow's buffer that a change of mode has written already
    Buffer* cipher         # owned: ciphertext under the read BIO that the record layer has not consumed
    void* script           # tests only; borrowed

cdef struct Flow:
    Buffer* held           # owned: bytes in flight; NULL when none are, or they are in
    Pipe* pipe             # owned likewise
    uint64_t bytes         # passed on so far
    uint8_t state          # FlowState
    uint8_t streak         # large reads in a row, as far as splice.pyx counts
    uint8_t brims          # the last read filled an ordinary buffer: the next one may have a large one

cpdef enum Scheduler:      # how a group chooses
    SCHEDULER_ROUND        # rr and wrr: the next of a sequence
    SCHEDULER_LEAST        # wlc: the fewest connections by weight
    SCHEDULER_SOURCE       # sch: by the client's address
    SCHEDULER_TUPLE        # tch: by addresses and ports of both ends
    SCHEDULERS             # how many there are

cdef enum Over:            # whether a server's connections are to be ended
    OVER_NOT
    OVER_UNHEALTHY
    OVER_WITHDRAWN         # removed, or of weight 0

cdef struct Server:
    ServerCell* cell       # borrowed from the board; NULL when it is full
    uint64_t* numbers      # borrowed: this worker's block of the ledger (S_), or Core.nobody
    uint32_t weight
    uint8_t over           # Over
    uint8_t any_port       # connected to on the port that the client came to; `address` has 0
    uint64_t since_ms      # when it was first seen to take no new connections; 0 = it takes them
    Server* heir           # borrowed: in a retired table, the same server of the current one; NULL = removed
    sockaddr_storage address
    socklen_t length
    int family

cdef struct Group:
    Server* servers        # owned by the Table; those of weight 0 come last
    uint32_t server_count
    uint32_t weighted      # how many have a weight
    uint8_t scheduler      # Scheduler
    uint32_t* sequence     # owned by the Table: server numbers in the order to pick, weights already in it
    uint32_t sequence_length
    uint32_t* buckets      # owned by the Table: the server of each bucket of clients; NULL = not by hash
    uint32_t cursor        # where the next choice begins
    uint64_t draws         # servers drawn so far
    uint8_t preserve       # its servers are connected to from the client's own address
    int64_t drain_ms       # how long connections of a server that is out may go on; -1 = for ever
    Group* heir            # borrowed: in a retired table, the same group of the current one; NULL = removed

cdef struct Place:         # where a server stands
    Group* group           # borrowed from the same Table
    Server* server         # likewise

cdef struct Staple:        # an OCSP response to send with a certificate
    void* leaf             # borrowed: X509* inside the context; only compared
    uint8_t* der           # owned
    uint32_t length
    int64_t until          # Unix seconds; not sent from then on

cdef struct Leaf:          # what the PROXY protocol says of a certificate that clients are shown
    void* x509             # borrowed: inside the context; only compared
    char[16] key_alg       # such as RSA2048; ends with a zero byte, empty = not known
    char[24] sig_alg       # such as RSA-SHA256; likewise

cdef struct Identity:      # what a client may be shown: certificates of different key types for the same names
    void* context          # borrowed: SSL_CTX*, kept by the worker as long as the table lives
    Staple* staples        # owned
    uint32_t staple_count
    Leaf* leaves           # owned; none when nothing is said of them
    uint32_t leaf_count

cdef enum:
    ALPN_BYTES = 64        # of the protocols of a policy, each after its length
    SESSION_ID_BYTES = 32
    PROXY_IDS_BYTES = 512

cdef struct TlsListener:   # how a listener terminates TLS
    void* front            # borrowed likewise: SSL_CTX* with the ticket keys, from which SSL objects are made
    int verify_mode        # of each SSL object, as SSL_set_verify takes it; 0 = no client certificate is asked for
    uint64_t options       # SSL_OP_* for each SSL object besides those of the context
    Identity* identities   # owned; the first is the default
    uint32_t identity_count
    NameIndex names        # host name -> index into identities
    uint8_t[SESSION_ID_BYTES] session_id    # sessions are resumed under an equal one only
    uint64_t session_ms    # how long one stays in use; 0 = for as long as the front
    uint64_t session_turn  # the how-manieth of these times the id was last made for
    uint8_t strict_sni     # refuse a client that asks for no name we have
    uint8_t alpn_strict    # refuse a client that offers no protocol we have
    uint8_t alpn_length
    uint8_t[ALPN_BYTES] alpn

cdef struct ProxyOut:      # the PROXY header that servers are sent
    uint8_t flags          # PROXY_* of proxyout.pxd
    uint32_t ids_length
    uint8_t[PROXY_IDS_BYTES] ids    # TLVs that are the same for every connection

cdef struct Network:
    uint8_t[16] address    # IPv4 as ::ffff:a.b.c.d
    uint8_t bits           # how many of them count

cdef struct Listener:
    uint8_t* name          # owned by the Table, for the access log
    uint32_t name_length
    uint32_t group         # index into Table.groups
    ListenerCell* cell     # borrowed from the board; NULL when it is full
    uint64_t* numbers      # borrowed: this worker's block of the ledger (L_), or Core.nobody
    TlsListener* tls       # owned by the Table; NULL = plain TCP
    ProxyOut* proxy        # owned by the Table; NULL = servers are sent no PROXY header
    Network* trusted       # owned by the Table: whose PROXY headers are accepted
    uint32_t trusted_count
    uint32_t handshake_ms
    uint32_t connect_ms
    uint32_t idle_ms
    uint32_t cps           # new connections per second over all workers; 0 = any number
    uint32_t max_connections    # likewise at one time

cdef struct Table:         # one compiled Snapshot; immutable but for cursors, refs, heirs and what a scan marks
    uint64_t generation
    uint32_t refs          # connections that were accepted under it
    uint32_t listener_count
    uint32_t group_count
    Listener* listeners    # owned
    Group* groups          # owned
    Place* places          # owned: its servers with a cell, by cell
    uint32_t place_count
    Table* next            # retired tables still referenced

cdef struct Acceptor:
    int fd                 # owned: this worker's copy of the listening socket; -1 = free slot
    uint32_t listener      # index into the listeners of its table
    int burst              # how many are accepted in one turn
    uint64_t looked_turn   # the last turn in which it was looked at
    Table* table           # counted in table.refs: what a parting socket accepts for; NULL = the current one
    uint64_t until_ms      # parting: when it is closed

cdef enum:
    TRIED_WORDS = 4
    TRIED_SERVERS = 256    # how many servers a connection can remember: a bit each

cdef enum:
    TRACE_UNKNOWN = 0xFFFFFFFF
    OFFER_BYTES = 46       # of the protocols that a client offers, each after its length

cdef struct Trace:         # what the access log alone wants to know; kept while it is on
    uint64_t opened_us     # CLOCK_MONOTONIC; kept in any case, to the coarse clock's tick
    uint32_t ready_us      # since then: when the PROXY header was accepted; 0 = no, TRACE_UNKNOWN = before it was on
    uint32_t greeted_us    # when the TLS handshake was complete, likewise
    uint32_t served_us     # when a server was connected, likewise
    Endpoint peer          # family 0: not known
    Endpoint here          # the address of ours that the client came to
    uint8_t offer_length
    uint8_t[OFFER_BYTES] offer    # the protocols (ALPN) that the client offered, as far as they fit

cdef struct Conn:
    Timer timer            # first member: a Timer* from the wheel is the Conn*
    uint32_t slot
    uint32_t generation    # grows each time the slot is freed; part of epoll's data, so stale events show
    uint8_t state          # ConnState; written by conn.pyx only
    uint8_t fault          # Fault: why the connection ended
    uint8_t queue          # QueueName it waits in
    uint8_t attempts       # servers tried so far, at most 255
    uint8_t counted        # on its server's cell
    uint8_t forced         # its server was unhealthy when it was chosen, as all were
    uint8_t authenticated  # the client has shown a certificate that verified, in this very handshake
    uint32_t server        # index in its group
    uint32_t first         # the server tried first, likewise
    uint64_t[TRIED_WORDS] tried    # by distance from the first
    uint64_t key           # of the client, for a choice by hash; 0 = not asked yet
    uint32_t identity      # index in listener.tls.identities, once the ClientHello has chosen
    uint32_t drain_wait_ms
    Endpoint source        # the client, and where it meant to go, as an accepted PROXY header says; family 0 = as
    Endpoint target        # the socket says
    uint64_t active_ms     # when a byte last moved; while pending, since when it waits or is waited for
    uint64_t begun_ns      # CLOCK_MONOTONIC: when the handshake began, then the attempt to connect
    uint64_t deadline_ms   # RELAY: when keepalive is switched on, 0 = it is; DRAIN: when to give up
    Table* table           # counted in table.refs
    Listener* listener     # borrowed from table
    Half client
    Half server_half
    Flow up
    Flow down
    Trace trace
    Conn* queue_next
    Conn* queue_previous
    Conn* reap_next        # also the slab's free list

cdef enum QueueName:
    QUEUE_NONE
    QUEUE_READY            # has work left over from a turn whose budget ran out
    QUEUE_AWAITED          # pending, see pending.pxd: the client's turn
    QUEUE_HELLO            # pending, our turn, nothing done yet
    QUEUE_BEGUN            # pending, our turn

cdef struct Queue:
    Conn* first
    Conn* last
    uint32_t length

cdef struct Pending:       # connections whose PROXY header or handshake is not complete
    Queue awaited
    Queue hellos
    Queue begun
    uint32_t most          # how many there may be
    uint8_t begun_next
    uint64_t served_ns     # when the last turn's handshake work ended, with some left over; 0 = none were
    uint64_t tell_ms       # when the next NOTICE_SHEDDING may be given

cdef struct Slab:
    Conn** chunks          # owned
    uint32_t chunk_count
    Conn* free             # linked by reap_next
    uint32_t live

cdef enum DrainStage:
    DRAIN_OFF
    DRAIN_WAITING          # accepting has ended; connections end by themselves
    DRAIN_ENDING           # the deadline has passed: every connection was told to end

cdef struct Core:          # all state of one event loop; one per Engine
    int epfd               # owned
    uint64_t now_ms        # CLOCK_MONOTONIC_COARSE, read once a turn
    uint64_t* count        # borrowed: this worker's row of the shared counter page
    Board board            # what all workers share; a private one for an engine of its own
    char* listener_numbers  # borrowed: this worker's blocks of the ledger, by cell; NULL = none
    char* server_numbers    # likewise
    uint64_t nobody[L_NUMBERS]    # for who has no block
    void* ciphers[LABEL_CIPHER_COUNT]    # borrowed: static SSL_CIPHER objects, once seen
    Slab slab
    Pool pool              # ordinary buffers
    Pool large
    Pipes pipes
    Wheel wheel
    TlsApi tls
    Queue ready
    uint64_t relay_bytes   # each way, that a relay may move in this turn before others have theirs
    Pending pending
    Conn* reap             # closed in this turn
    Table* table           # current; owned
    Table* retired         # owned; freed when the last connection goes
    uint32_t descriptors   # held by connections
    uint32_t descriptor_limit
    Acceptor* acceptors    # owned
    uint32_t acceptor_count
    uint8_t crowded        # more was ready than one turn takes: who is not reported may be so all the same
    uint8_t paused         # not accepting for want of descriptors
    uint8_t notice         # Notice, for Python to fetch
    uint64_t resume_ms     # paused: do not try again before
    uint32_t parting       # acceptors on their way out
    uint8_t parted         # some of them have gone: for Python to be told
    uint64_t part_ms       # when the next of them goes
    uint8_t draining       # DrainStage
    uint64_t drain_deadline_ms
    uint8_t drains         # a table in use has a group with a drain timeout
    uint64_t scan_ms       # when its servers are looked at next
    LogWriter* log         # owned; NULL until the access log is first switched on
    uint8_t logging        # it is on
    sockaddr_storage came_from    # logging: whom the last accept was of
    char scratch[16384]    # for bytes that are read to be thrown away
