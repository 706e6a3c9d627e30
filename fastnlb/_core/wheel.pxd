# Timer wheel: arm, cancel and fire in constant time, however many timers are armed.
#
# Four levels of 64 slots; a tick is 64 ms, so a slot of level n spans 64^n ticks and the wheel reaches twelve
# days.  A timer sits at the level of the highest bit in which its tick differs from now and moves down as its
# time comes near (the scheme of Varghese and Lauck's hierarchical wheels).  A timer never fires early and at
# most two ticks late.  An occupied-slot bitmap per level gives the next wake-up without scanning: an idle wheel
# costs no wake-ups.
# Trap: wheel_fire returns a list of timers already unlinked; arming or cancelling others while walking it is safe,
# freeing one that is still on the list is not.

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum:
    WHEEL_LEVELS = 4
    WHEEL_SLOTS = 64
    WHEEL_TICK_SHIFT = 6

cdef struct Timer:
    Timer* next
    Timer** link           # the pointer that points here; NULL when not armed
    uint64_t tick          # when it fires
    uint8_t level
    uint8_t slot

cdef struct Wheel:
    uint64_t now           # ticks gone by
    uint64_t occupied[WHEEL_LEVELS]
    Timer* slots[WHEEL_LEVELS][WHEEL_SLOTS]   # borrowed: timers are embedded in their owners
    uint64_t armed

cdef void wheel_init(Wheel* wheel, uint64_t now_ms) noexcept nogil
cdef void wheel_arm(Wheel* wheel, Timer* timer, uint64_t at_ms) noexcept nogil
cdef void wheel_cancel(Wheel* wheel, Timer* timer) noexcept nogil
cdef int64_t wheel_wait_ms(Wheel* wheel, uint64_t now_ms) noexcept nogil
cdef Timer* wheel_fire(Wheel* wheel, uint64_t now_ms) noexcept nogil
