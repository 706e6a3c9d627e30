# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See look.pxd for the contract.

from libc.stdint cimport uint64_t

from .defs cimport Conn, Core, Half
from .half cimport half_keep_alive
from .tlsbio cimport bio_rest
from .wheel cimport wheel_arm

cdef enum:
    HELD_BACK_MS = 40          # how long session tickets may wait for an answer to go along with
    STILL_MS = 200
    FIRST_LOOK_MS = 256        # one that has been silent since its handshake is still by then
    NEXT_LOOK_MS = 1000
    PROBED_AFTER_MS = 5000     # probes are for connections that last; most do not, and save the system calls

cdef uint64_t NEVER = ~(<uint64_t> 0)


cdef void look_begin(Core* k, Conn* c) noexcept nogil:
    """The connection is established."""
    c.active_ms = k.now_ms
    c.deadline_ms = k.now_ms + PROBED_AFTER_MS
    c.client.watched = c.client.ssl != NULL
    if not c.client.watched:
        _look_by(k, c, NEVER)
    else:
        _look_by(k, c, k.now_ms + (HELD_BACK_MS if c.client.held_back else FIRST_LOOK_MS))


cdef bint look_due(Core* k, Conn* c) noexcept nogil:
    """The timer fired.  False: nothing has moved for the idle timeout, and the timer is not armed again."""
    if c.active_ms + c.listener.idle_ms <= k.now_ms:
        return False
    if c.client.held_back:
        c.client.xport.flush(k, &c.client)
    if c.deadline_ms and c.deadline_ms <= k.now_ms:
        half_keep_alive(&c.client)
        half_keep_alive(&c.server_half)
        c.deadline_ms = 0
    c.client.watched = not _is_done(k, c)
    _look_by(k, c, k.now_ms + NEXT_LOOK_MS if c.client.watched else NEVER)
    return True


cdef bint _is_done(Core* k, Conn* c) noexcept nogil:
    """Whether there is nothing to look for before something moves again: what there was to give back is given back,
    or something is in flight that stands in the way, and look_settled comes after it.
    """
    if c.client.ssl == NULL or c.client.resting:
        return True
    if k.now_ms - c.active_ms < <uint64_t> STILL_MS:
        return False
    bio_rest(k, &c.client)
    return True


cdef void look_settled(Core* k, Conn* c) noexcept nogil:
    """A turn has left nothing to do for it, and may have woken it."""
    cdef Half* half = &c.client
    if half.ssl == NULL or half.resting:
        return
    if c.down.bytes and not half.answered and bio_rest(k, half):
        half.answered = 1
    elif not half.watched:
        half.watched = 1
        _look_by(k, c, k.now_ms + NEXT_LOOK_MS)


cdef void _look_by(Core* k, Conn* c, uint64_t at_ms) noexcept nogil:
    """At that time, or before it when something else is due."""
    at_ms = min(at_ms, c.active_ms + c.listener.idle_ms)
    if c.deadline_ms:
        at_ms = min(at_ms, c.deadline_ms)
    wheel_arm(&k.wheel, &c.timer, at_ms)
