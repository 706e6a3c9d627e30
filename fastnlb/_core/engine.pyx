# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# The Engine: all that Python sees of the core, and the one place that releases the GIL.
#
# run() serves until Python is needed and says why it came back.  Between two calls of run() nothing moves, so
# prepare, commit, rollback and drain need no locks.  A configuration is prepared beside the one being served
# (it may fail, then nothing has changed) and committed by swapping one pointer.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from .board cimport BOARD_CACHE_LINE, BOARD_LISTENER_CELLS, BOARD_SERVER_CELLS, board_stride, board_take_place
from .accesslog cimport accesslog_adopt
from .accept cimport PARTING_MS, acceptor_part, acceptor_start
from .counters cimport (N_DESCRIPTOR_LIMIT, N_LOG_DROPPED, N_LOG_LINES, N_NUMBERS, N_PYTHON_RETURNS, N_TLS_OBJECTS,
                        N_TLS_RESTING)
from .defs cimport CONN_CLOSED, CONN_FREE, NOTICE_NONE, Acceptor, Conn, Core, StopReason, Table
from .drain cimport drain_follow
from .loop cimport loop_abort_all, loop_drain, loop_run, loop_tell_time
from .logwriter cimport LOG_RING_BYTES, logwriter_end, logwriter_new, logwriter_send_to
from .pending cimport pending_count, pending_init
from .pipes cimport pipes_clear
from .pool cimport pool_clear, pools_make
from .poller cimport POLL_WATCH, poll_add_level, poll_key, poll_remove
from .queue cimport queue_init
from .slab cimport slab_at, slab_clear, slab_slots
from .sys cimport EPOLL_CLOEXEC, FASTNLB_DEBUG_BUILD, close, epoll_create1, errno
from .table cimport table_build, table_free, table_retire
from .tlsapi cimport tlsapi_bind
from .wheel cimport wheel_init

import os

from fastnlb._core import defs

DEBUG_BUILD = bool(FASTNLB_DEBUG_BUILD)


cdef class Engine:
    """One event loop with its connections.

    `tls` maps each name of tlsapi.pxd to the address of that C function (fastnlb.tls.binding.addresses), or is
    None for an engine that serves plain TCP only.  `counters` is the address of a row of the shared counter page,
    or 0 for a private row; `board` is (address, places, own place) of the shared board (fastnlb.board), or None for
    a private one; `ledger` has the addresses of this worker's blocks for listeners and servers
    (fastnlb.stats.ledger), or is None for an engine that does not tell these apart.  `descriptor_limit` is how many
    descriptors its connections may hold, `handshake_limit` how many of them may be before the end of their handshake
    or PROXY header.
    Raises KeyError for a missing name, OSError when epoll cannot be had.
    """

    cdef Core k
    cdef uint64_t* own_counters    # owned
    cdef char* own_board           # owned
    cdef Table* prepared           # owned until committed or rolled back
    cdef dict prepared_sockets     # socket key -> descriptor, owned likewise
    cdef dict prepared_keys        # socket key -> index of its listener
    cdef dict acceptor_of          # socket key -> index into k.acceptors
    cdef bint has_tls

    def __cinit__(self, tls, *, size_t counters=0, tuple board=None, tuple ledger=None,
                  uint32_t descriptor_limit=1024, uint32_t handshake_limit=16384):
        memset(&self.k, 0, sizeof(self.k))
        self.k.epfd = -1
        self.prepared_sockets = {}
        self.acceptor_of = {}
        self.own_counters = <uint64_t*> calloc(<int> N_NUMBERS, sizeof(uint64_t))
        if self.own_counters == NULL:
            raise MemoryError()
        self.k.count = <uint64_t*> counters if counters else self.own_counters
        self._take_board(board)
        if ledger is not None:
            self.k.listener_numbers = <char*> <size_t> ledger[0]
            self.k.server_numbers = <char*> <size_t> ledger[1]
        self.descriptor_limit = descriptor_limit
        pools_make(&self.k.pool, &self.k.large)
        queue_init(&self.k.ready)
        pending_init(&self.k.pending, handshake_limit)
        loop_tell_time(&self.k)
        wheel_init(&self.k.wheel, self.k.now_ms)
        self.has_tls = tls is not None
        if self.has_tls:
            tlsapi_bind(&self.k.tls, tls)
        self.k.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.k.epfd < 0:
            raise OSError(errno, os.strerror(errno))

    cdef int _take_board(self, tuple board) except -1:
        if board is not None:
            address, self.k.board.places, self.k.board.place = board
            self.k.board.base = <char*> <size_t> address
        else:
            self._make_board()
        board_take_place(&self.k.board)
        return 0

    cdef int _make_board(self) except -1:
        self.k.board.places = 1
        cells = <size_t> BOARD_SERVER_CELLS + BOARD_LISTENER_CELLS
        # Large and hardly touched: the system gives memory for the cells that are used.
        self.own_board = <char*> calloc(1, cells * board_stride(&self.k.board) + BOARD_CACHE_LINE)
        if self.own_board == NULL:
            raise MemoryError()
        self.k.board.base = self.own_board
        return 0

    def __dealloc__(self):
        self._free()
        free(self.own_counters)
        free(self.own_board)

    # --- serving ---------------------------------------------------------------------------------------------

    def run(self):
        """Serve until Python is needed; returns a StopReason.  Releases the GIL meanwhile."""
        cdef StopReason reason
        with nogil:
            reason = loop_run(&self.k)
        self.k.count[<int> N_PYTHON_RETURNS] += 1
        return defs.StopReason(reason)

    def watch(self, int descriptor):
        """run() returns STOP_WATCH while this descriptor is readable."""
        if not poll_add_level(self.k.epfd, descriptor, poll_key(POLL_WATCH, False, 0, <uint32_t> descriptor)):
            raise OSError(errno, os.strerror(errno))

    def unwatch(self, int descriptor):
        poll_remove(self.k.epfd, descriptor)

    def notice(self):
        """What run() stopped to say, once; NOTICE_NONE when there is nothing."""
        notice = defs.Notice(self.k.notice)
        self.k.notice = NOTICE_NONE
        return notice

    def drain(self, double seconds, parting=()):
        """Accept what is queued, then nothing more; run() returns STOP_DRAINED when the last connection is gone.

        Sockets whose keys are in `parting` first go on accepting for a while, as those that a commit removes.
        Connections still open after `seconds` are closed, TLS clients with close_notify.
        """
        loop_tell_time(&self.k)
        for key in parting:
            self._part(self.acceptor_of.pop(key), self.k.table)
        loop_drain(&self.k, self.k.now_ms + <uint64_t> (seconds * 1000))

    def keys(self):
        """Of the sockets it accepts on for the configuration that is served."""
        return list(self.acceptor_of)

    def parting(self):
        """The generation of the oldest configuration that a parting socket still accepts for; None when all are gone.

        run() returns STOP_PARTED when this may have changed.
        """
        cdef uint32_t i
        oldest = None
        for i in range(self.k.acceptor_count):
            if self.k.acceptors[i].table != NULL:
                generation = self.k.acceptors[i].table.generation
                oldest = generation if oldest is None else min(oldest, generation)
        return oldest

    @property
    def descriptor_limit(self):
        """How many descriptors its connections may hold; accepting pauses when the next would pass it."""
        return self.k.descriptor_limit

    @descriptor_limit.setter
    def descriptor_limit(self, uint32_t limit):
        self.k.descriptor_limit = limit
        self.k.count[<int> N_DESCRIPTOR_LIMIT] = limit

    # --- configuration ---------------------------------------------------------------------------------------

    def prepare(self, generation, listeners, groups, sockets):
        """Compile a configuration beside the one being served.

        listeners: list of (keys, fields) with a key for each of its sockets, whatever stands for one, and fields as
        table_build takes them; groups: likewise; sockets: a dict of key -> listening descriptor for each socket this
        engine does not accept on yet, or in place of the one it has.  On success the engine owns those descriptors.
        Raises ValueError and changes nothing when something is missing.
        """
        if self.prepared != NULL:
            raise ValueError("a configuration is prepared already")
        keys = {}
        for index, (own, fields) in enumerate(listeners):
            keys.update(dict.fromkeys(own, index))
            if fields[1] is not None and not self.has_tls:
                raise ValueError("a listener needs TLS and this engine has none")
        for key in keys:
            if key not in sockets and key not in self.acceptor_of:
                raise ValueError(f"{key} has no socket")
        self.prepared = table_build(&self.k, generation, [fields for _, fields in listeners],
                                    list(groups))
        self.prepared_keys = keys
        self.prepared_sockets = dict(sockets)

    def rollback(self):
        """Forget the prepared configuration; harmless when there is none."""
        table_free(self.prepared)
        self.prepared = NULL
        for descriptor in self.prepared_sockets.values():
            close(<int> descriptor)
        self.prepared_sockets = {}

    def commit(self):
        """Serve the prepared configuration.  Connections keep the one they were accepted under.

        Sockets that are gone go on accepting for a while for the one they had (`parting`).  Raises OSError when a
        new socket cannot be watched (the kernel is out of memory); everything else is in force then.
        """
        cdef Table* old = self.k.table
        if self.prepared == NULL:
            raise ValueError("no configuration is prepared")
        loop_tell_time(&self.k)
        for key in [key for key in self.acceptor_of if key not in self.prepared_keys]:
            self._part(self.acceptor_of.pop(key), old)
        self.k.table = self.prepared
        self.prepared = NULL
        table_retire(&self.k, old)
        drain_follow(&self.k)
        sockets, self.prepared_sockets = self.prepared_sockets, {}
        failure = None
        for key, index in self.prepared_keys.items():
            failure = self._accept_for(key, index, sockets.pop(key, -1), old) or failure
        for descriptor in sockets.values():
            close(<int> descriptor)
        if failure is not None:
            raise failure

    cdef _part(self, uint32_t at, Table* table):
        acceptor_part(&self.k, &self.k.acceptors[at], table, self.k.now_ms + PARTING_MS)

    cdef _accept_for(self, key, uint32_t listener, int descriptor, Table* old):
        cdef uint32_t at
        if key in self.acceptor_of and descriptor < 0:
            self.k.acceptors[<uint32_t> self.acceptor_of[key]].listener = listener
            return None
        if key in self.acceptor_of:
            # The same key on another address.
            self._part(self.acceptor_of.pop(key), old)
        at = self._free_acceptor()
        self.acceptor_of[key] = at
        self.k.acceptors[at].fd = descriptor
        self.k.acceptors[at].listener = listener
        self.k.acceptors[at].burst = 1
        if not acceptor_start(&self.k, &self.k.acceptors[at]):
            return OSError(errno, os.strerror(errno))
        return None

    cdef uint32_t _free_acceptor(self) except? 0xFFFFFFFF:
        cdef uint32_t at
        cdef Acceptor* grown
        for at in range(self.k.acceptor_count):
            if self.k.acceptors[at].fd < 0:
                return at
        grown = <Acceptor*> realloc(self.k.acceptors, (self.k.acceptor_count + 1) * sizeof(Acceptor))
        if grown == NULL:
            raise MemoryError()
        self.k.acceptors = grown
        memset(&grown[self.k.acceptor_count], 0, sizeof(Acceptor))
        grown[self.k.acceptor_count].fd = -1
        self.k.acceptor_count += 1
        return self.k.acceptor_count - 1

    def generations(self):
        """The generations still in use: the one served and those that open connections were accepted under."""
        cdef Table* table = self.k.retired
        found = set()
        if self.k.table != NULL:
            found.add(self.k.table.generation)
        while table != NULL:
            if table.refs:
                found.add(table.generation)
            table = table.next
        return found

    # --- the access log --------------------------------------------------------------------------------------

    def begin_access_log(self):
        """Have ready what the access log takes, so that `access_log` cannot fail.  Raises OSError."""
        if self.k.log == NULL:
            self.k.log = logwriter_new(&self.k.count[<int> N_LOG_LINES], &self.k.count[<int> N_LOG_DROPPED],
                                       LOG_RING_BYTES)
        if self.k.log == NULL:
            raise OSError(errno, os.strerror(errno))

    def access_log(self, int descriptor):
        """A line for each connection that ends goes to `descriptor`, which is the engine's from now on; -1: none.

        In place of the one before, which is given what is waiting for it and then closed.
        """
        if descriptor >= 0:
            self.begin_access_log()
        elif self.k.log == NULL:
            return
        if descriptor >= 0 and not self.k.logging:
            self._adopt()
        self.k.logging = descriptor >= 0
        logwriter_send_to(self.k.log, descriptor)

    cdef void _adopt(self) noexcept:
        """The connections that are open already."""
        cdef uint32_t slot
        cdef Conn* c
        for slot in range(slab_slots(&self.k.slab)):
            c = slab_at(&self.k.slab, slot)
            if c.state != CONN_FREE and c.state != CONN_CLOSED:
                accesslog_adopt(c)

    def access_log_error(self):
        """The errno of the write for which lines were lost, or 0: whatever takes them is too slow."""
        error, self.k.log.error, self.k.log.slow = self.k.log.error, 0, 0
        return error

    # --- accounting ------------------------------------------------------------------------------------------

    def debug_counts(self):
        """What is allocated or armed right now; all 0 when no connection is open."""
        return {
            "connections": self.k.slab.live,
            "buffers_lent": self.k.pool.lent,
            "large_buffers_lent": self.k.large.lent,
            "pipes_lent": self.k.pipes.lent,
            "tls_objects": self.k.count[<int> N_TLS_OBJECTS],
            "tls_resting": self.k.count[<int> N_TLS_RESTING],
            "timers": self.k.wheel.armed,
            "descriptors": self.k.descriptors,
            "queued": self.k.ready.length + pending_count(&self.k.pending),
            "parting": self.k.parting,
        }

    def counters(self):
        """The numbers of this engine's row, in the order of fastnlb.stats.table."""
        return [self.k.count[index] for index in range(<int> N_NUMBERS)]

    def close(self):
        """Reset every connection and free everything; the engine serves nothing afterwards.  Idempotent."""
        self._free()

    cdef void _free(self) noexcept:
        cdef uint32_t i
        if self.k.epfd < 0:
            return
        loop_abort_all(&self.k)
        self.k.logging = 0
        if self.k.log != NULL:
            logwriter_end(self.k.log)
            self.k.log = NULL
        for i in range(self.k.acceptor_count):
            if self.k.acceptors[i].fd >= 0:
                poll_remove(self.k.epfd, self.k.acceptors[i].fd)
                close(self.k.acceptors[i].fd)
        self.rollback()
        self._free_tables()
        free(self.k.acceptors)
        self.k.acceptors = NULL
        self.k.acceptor_count = self.k.parting = 0
        pool_clear(&self.k.pool)
        pool_clear(&self.k.large)
        pipes_clear(&self.k.pipes)
        slab_clear(&self.k.slab)
        close(self.k.epfd)
        self.k.epfd = -1

    cdef void _free_tables(self) noexcept:
        cdef Table* table
        table_free(self.k.table)
        self.k.table = NULL
        while self.k.retired != NULL:
            table = self.k.retired
            self.k.retired = table.next
            table_free(table)
