# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Thin Python handle on the queues of pending connections, for tests only, on a clock of the test.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from .defs cimport Conn, Core
from .pending cimport LATE_MS, pending_await, pending_count, pending_init, pending_leave, pending_pop, pending_queued
from .pending cimport pending_work
from .slab cimport slab_at, slab_clear, slab_take

LATE = <int> LATE_MS


cdef class PendingProbe:
    """Pending connections, named by slot; time stands still until it is told to pass."""

    cdef Core* k

    def __cinit__(self):
        self.k = <Core*> calloc(1, sizeof(Core))
        pending_init(&self.k.pending, 0)

    def __dealloc__(self):
        slab_clear(&self.k.slab)
        free(self.k)

    def come(self):
        """The slot of a new client, who has not spoken yet."""
        cdef Conn* c = slab_take(&self.k.slab)
        pending_await(self.k, c)
        return c.slot

    def speak(self, uint32_t slot):
        pending_work(self.k, slab_at(&self.k.slab, slot))

    def serve(self):
        """Whose step is done, after which it is the client's turn again."""
        cdef Conn* c = pending_pop(self.k)
        if c == NULL:
            return None
        c.client.ssl = <void*> c    # only compared with NULL
        pending_await(self.k, c)
        return c.slot

    def leave(self, uint32_t slot):
        pending_leave(self.k, slab_at(&self.k.slab, slot))

    def pass_time(self, uint64_t milliseconds):
        self.k.now_ms += milliseconds

    @property
    def first_awaited(self):
        return None if self.k.pending.awaited.first == NULL else self.k.pending.awaited.first.slot

    @property
    def counts(self):
        """(all of them, those that wait for us)"""
        return pending_count(&self.k.pending), pending_queued(&self.k.pending)
