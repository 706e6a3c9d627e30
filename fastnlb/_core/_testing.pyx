# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Thin Python handles on parts of the core, for tests only: each wraps one structure and adds no logic of its own.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from .conn cimport conn_advance, conn_end, conn_reap, conn_timeout
from .counters cimport N_BYTES_SPLICED, N_NUMBERS
from .defs cimport (CONN_CLOSED, CONN_RELAY, CONN_STATES, QUEUE_READY, STEP_EOF, STEP_FAULT, STEP_MOVED,
                    STEP_WANT_READ, STEP_WANT_WRITE, Conn, Core, Half)
from .half cimport half_adopt
from .loop cimport loop_share
from .names cimport NAME_UNKNOWN, NameIndex, names_add, names_find, names_free, names_init
from .pending cimport pending_init
from .pipes cimport (PIPES_LOOK_MS, PIPES_RETRY_MS, PIPES_SPARE, Pipe, Pipes, pipe_get, pipe_put, pipes_clear,
                     pipes_look)
from .plain cimport plain_xport
from .pool cimport (BUFFER_BYTES, LARGE_MOST, Buffer, Pool, pool_clear, pool_get, pool_make, pool_put,
                    pools_make)
from .queue cimport queue_init, queue_pop, queue_pop_last, queue_push, queue_remove
from .script cimport SCRIPT_LINES, Script, script_xport
from .slab cimport slab_clear, slab_give, slab_take
from .table cimport table_build, table_free
from .transitions cimport may_follow
from .wheel cimport Timer, Wheel, wheel_arm, wheel_cancel, wheel_fire, wheel_init, wheel_wait_ms

import os

STEPS = {"moved": <int> STEP_MOVED, "want_read": <int> STEP_WANT_READ, "want_write": <int> STEP_WANT_WRITE,
         "eof": <int> STEP_EOF, "fault": <int> STEP_FAULT}
STEP_NAMES = {value: name for name, value in STEPS.items()}
ORDINARY_BYTES, MOST_LARGE = BUFFER_BYTES, LARGE_MOST
SPARE_PIPES, LOOK_MS, RETRY_MS = PIPES_SPARE, PIPES_LOOK_MS, PIPES_RETRY_MS


def share_of_a_turn(uint32_t relays):
    """Bytes each way for each of so many relays that find no end."""
    return loop_share(relays)


def legal_transitions():
    """Every (from, to) pair of state numbers that the state machine accepts."""
    return {(a, b) for a in range(<int> CONN_STATES) for b in range(<int> CONN_STATES) if may_follow(a, b)}


cdef class WheelProbe:
    """A wheel with `count` timers, named by number."""

    cdef Wheel wheel
    cdef Timer* timers
    cdef readonly int count

    def __cinit__(self, int count, uint64_t now_ms=0):
        self.count = count
        self.timers = <Timer*> calloc(count, sizeof(Timer))
        wheel_init(&self.wheel, now_ms)

    def __dealloc__(self):
        free(self.timers)

    def arm(self, int number, uint64_t at_ms):
        wheel_arm(&self.wheel, &self.timers[number], at_ms)

    def cancel(self, int number):
        wheel_cancel(&self.wheel, &self.timers[number])

    def fire(self, uint64_t now_ms):
        cdef Timer* due = wheel_fire(&self.wheel, now_ms)
        fired = []
        while due != NULL:
            fired.append(due - self.timers)
            due = due.next
        return sorted(fired)

    def wait(self, uint64_t now_ms):
        return wheel_wait_ms(&self.wheel, now_ms)

    @property
    def armed(self):
        return self.wheel.armed


cdef class PoolProbe:
    """A buffer pool; lend() and give_back() as a stack of loans.  lend() is None when no more are lent."""

    cdef Pool pool
    cdef list loans

    def __cinit__(self, int most=1000, int keep=10):
        pool_make(&self.pool, 64, most, keep)
        self.loans = []

    def lend(self):
        cdef Buffer* buffer = pool_get(&self.pool)
        if buffer == NULL:
            return None
        self.loans.append(<size_t> buffer)
        return <size_t> buffer

    def give_back(self, size_t loan):
        self.loans.remove(loan)
        pool_put(<Buffer*> loan)

    def __dealloc__(self):
        for loan in self.loans:
            pool_put(<Buffer*> <size_t> loan)
        pool_clear(&self.pool)

    @property
    def made(self):
        return self.pool.made

    @property
    def lent(self):
        return self.pool.lent


cdef class PipesProbe:
    """A pool of pipes; lend() and give_back() as a stack of loans."""

    cdef Pipes pipes
    cdef list loans

    def __cinit__(self):
        self.loans = []

    def lend(self, uint32_t most, uint64_t now_ms=0):
        """A loan, or None."""
        cdef Pipe* pipe = pipe_get(&self.pipes, most, now_ms)
        if pipe == NULL:
            return None
        self.loans.append(<size_t> pipe)
        return <size_t> pipe

    def ends(self, size_t loan):
        """Descriptors of the ends that are read and written."""
        return (<Pipe*> loan).source, (<Pipe*> loan).sink

    def give_back(self, size_t loan, uint32_t held=0):
        self.loans.remove(loan)
        (<Pipe*> loan).held = held
        pipe_put(&self.pipes, <Pipe*> loan)

    def look(self, uint64_t now_ms):
        pipes_look(&self.pipes, now_ms)

    def clear(self):
        pipes_clear(&self.pipes)

    def __dealloc__(self):
        for loan in self.loans:
            pipe_put(&self.pipes, <Pipe*> <size_t> loan)
        pipes_clear(&self.pipes)

    @property
    def made(self):
        return self.pipes.made

    @property
    def lent(self):
        return self.pipes.lent


cdef class NamesProbe:
    """A name index over `names`, each with its place in the list as its number."""

    cdef NameIndex index

    def __cinit__(self, list names):
        if not names_init(&self.index, <uint32_t> len(names)):
            raise MemoryError()
        for number, name in enumerate(names):
            if not names_add(&self.index, <const char*> name, len(name), number):
                raise ValueError(name)

    def __dealloc__(self):
        names_free(&self.index)

    def find(self, bytes name):
        number = names_find(&self.index, <const char*> name, len(name))
        return None if number == <uint32_t> NAME_UNKNOWN else number


cdef class QueueProbe:
    """A slab of connections and a queue over them, named by slot."""

    cdef Core* k

    def __cinit__(self):
        self.k = <Core*> calloc(1, sizeof(Core))
        queue_init(&self.k.ready)

    def __dealloc__(self):
        slab_clear(&self.k.slab)
        free(self.k)

    cdef Conn* _at(self, uint32_t slot):
        return &self.k.slab.chunks[slot >> 8][slot & 255]

    def take(self):
        """(slot, generation) of a fresh connection."""
        cdef Conn* c = slab_take(&self.k.slab)
        return c.slot, c.generation

    def give(self, uint32_t slot):
        slab_give(&self.k.slab, self._at(slot))

    def push(self, uint32_t slot):
        queue_push(&self.k.ready, self._at(slot), QUEUE_READY)

    def remove(self, uint32_t slot):
        queue_remove(&self.k.ready, self._at(slot))

    def pop(self):
        cdef Conn* c = queue_pop(&self.k.ready)
        return None if c == NULL else c.slot

    def pop_last(self):
        cdef Conn* c = queue_pop_last(&self.k.ready)
        return None if c == NULL else c.slot

    @property
    def length(self):
        return self.k.ready.length

    @property
    def live(self):
        return self.k.slab.live


cdef class RelayProbe:
    """A connection in RELAY between two scripted halves.

    `client` and `server` are dicts of `pull` and `push` lines: a list of step names, ("moved", bytes), or
    ("fault", Fault number); None for one that is real, plain and always worth a try.  Descriptors are real (the
    caller's, taken over), so that closing shows.
    """

    cdef Core* k
    cdef Conn* c
    cdef Script* scripts        # client, server

    def __cinit__(self, client, server, int client_fd=-1, int server_fd=-1, idle_ms=60000):
        self.k = <Core*> calloc(1, sizeof(Core))
        self.scripts = <Script*> calloc(2, sizeof(Script))
        self.k.count = <uint64_t*> calloc(<int> N_NUMBERS, sizeof(uint64_t))
        pools_make(&self.k.pool, &self.k.large)
        self.k.relay_bytes = 4 * <int> BUFFER_BYTES
        queue_init(&self.k.ready)
        pending_init(&self.k.pending, 1)
        wheel_init(&self.k.wheel, 0)
        group = (0, [("127.0.0.1", 1, 1, -1)], [0], -1, False)
        self.k.descriptor_limit = 1024
        self.k.table = table_build(self.k, 1, [(0, None, 1000, 1000, idle_ms, -1, 0, 0, b"", None)], [group])
        self.c = slab_take(&self.k.slab)
        self.c.state = CONN_RELAY
        self.c.table = self.k.table
        self.c.table.refs = 1
        self.c.listener = &self.k.table.listeners[0]
        self._half(&self.c.client, 0, client, client_fd)
        self._half(&self.c.server_half, 1, server, server_fd)
        wheel_arm(&self.k.wheel, &self.c.timer, idle_ms)

    cdef _half(self, Half* half, int index, lines, int fd):
        half_adopt(self.k, half, fd if fd >= 0 else os.memfd_create("scripted"))
        half.readable = half.writable = 1
        if lines is None:
            half.xport = plain_xport()
            return
        half.xport = script_xport()
        half.script = &self.scripts[index]
        self.script(index, **lines)

    def script(self, int index, pull=(), push=()):
        """Replace what half 0 (client) or 1 (server) will answer from now on."""
        cdef Script* script = &self.scripts[index]
        script.pull_at = script.push_at = 0
        script.pull_count = len(pull)
        script.push_count = len(push)
        if max(len(pull), len(push)) > SCRIPT_LINES:
            raise ValueError("script too long")
        for i, line in enumerate(pull):
            name, value = line if isinstance(line, tuple) else (line, 0)
            script.pull_steps[i] = STEPS[name]
            script.pull_sizes[i] = value
            if name == "fault":
                script.fault = value
        for i, line in enumerate(push):
            name, value = line if isinstance(line, tuple) else (line, 0)
            script.push_steps[i] = STEPS[name]
            script.push_sizes[i] = value

    def advance(self):
        """One turn's work; returns the state afterwards."""
        self.c.client.readable = self.c.client.writable = 1
        self.c.server_half.readable = self.c.server_half.writable = 1
        conn_advance(self.k, self.c)
        return self.c.state

    def advance_queued(self):
        """What the next turn would do; False when nothing is queued."""
        cdef Conn* c = queue_pop(&self.k.ready)
        if c == NULL:
            return False
        conn_advance(self.k, c)
        return True

    def timer(self, uint64_t now_ms):
        """Let time pass; returns whether the connection's timer fired."""
        cdef Timer* due
        self.k.now_ms = now_ms
        due = wheel_fire(&self.k.wheel, now_ms)
        if due == NULL:
            return False
        conn_timeout(self.k, <Conn*> due)
        return True

    def end(self, int fault):
        conn_end(self.k, self.c, fault)

    def received(self, int index):
        """Bytes pushed to a half so far."""
        return (<char*> self.scripts[index].bytes)[:self.scripts[index].received]

    def calls(self, int index):
        return {"pulls": self.scripts[index].pulls, "pushes": self.scripts[index].pushes,
                "shuts": self.scripts[index].shuts}

    @property
    def state(self):
        return self.c.state

    @property
    def fault(self):
        return self.c.fault

    @property
    def open_descriptors(self):
        return self.k.descriptors

    @property
    def buffers_lent(self):
        return self.k.pool.lent + self.k.large.lent

    @property
    def large_lent(self):
        return self.k.large.lent

    @property
    def pipes_lent(self):
        return self.k.pipes.lent

    @property
    def spliced(self):
        return self.k.count[<int> N_BYTES_SPLICED]

    @property
    def queued(self):
        return self.k.ready.length

    def counters(self):
        return [self.k.count[index] for index in range(<int> N_NUMBERS)]

    def __dealloc__(self):
        if self.c.state != CONN_CLOSED:
            conn_end(self.k, self.c, 0)
            self.k.now_ms = 1 << 40
            conn_timeout(self.k, self.c)
        conn_reap(self.k)
        table_free(self.k.table)
        pool_clear(&self.k.pool)
        pool_clear(&self.k.large)
        pipes_clear(&self.k.pipes)
        slab_clear(&self.k.slab)
        free(self.k.count)
        free(self.scripts)
        free(self.k)
