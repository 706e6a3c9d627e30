# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See wheel.pxd for the contract.

from libc.string cimport memset

from .sys cimport CORE_ASSERT, bit_highest, bit_lowest

cdef enum:
    SLOT_BITS = 6
    SLOT_MASK = WHEEL_SLOTS - 1

# One tick short of the wheel's reach.
cdef uint64_t FARTHEST = (<uint64_t> 1 << (SLOT_BITS * WHEEL_LEVELS)) - 1


cdef void wheel_init(Wheel* wheel, uint64_t now_ms) noexcept nogil:
    memset(wheel, 0, sizeof(Wheel))
    wheel.now = now_ms >> WHEEL_TICK_SHIFT


cdef void wheel_arm(Wheel* wheel, Timer* timer, uint64_t at_ms) noexcept nogil:
    """Arm or re-arm.  A time that has passed fires at the next tick; one beyond the reach fires at the reach."""
    wheel_cancel(wheel, timer)
    # Rounded up: a timer may be late by a tick, never early.
    timer.tick = (at_ms + (1 << WHEEL_TICK_SHIFT) - 1) >> WHEEL_TICK_SHIFT
    if timer.tick <= wheel.now:
        timer.tick = wheel.now + 1
    elif timer.tick - wheel.now > FARTHEST:
        timer.tick = wheel.now + FARTHEST
    _insert(wheel, timer)
    wheel.armed += 1


cdef void _insert(Wheel* wheel, Timer* timer) noexcept nogil:
    # The low bits are set so that a difference inside the first group of six gives level 0.
    cdef int level = bit_highest((wheel.now ^ timer.tick) | SLOT_MASK) // SLOT_BITS
    cdef int slot
    if level >= WHEEL_LEVELS:
        level = WHEEL_LEVELS - 1
    slot = (timer.tick >> (level * SLOT_BITS)) & SLOT_MASK
    timer.level = <uint8_t> level
    timer.slot = <uint8_t> slot
    timer.next = wheel.slots[level][slot]
    timer.link = &wheel.slots[level][slot]
    if timer.next != NULL:
        timer.next.link = &timer.next
    wheel.slots[level][slot] = timer
    wheel.occupied[level] |= <uint64_t> 1 << slot


cdef void wheel_cancel(Wheel* wheel, Timer* timer) noexcept nogil:
    """Disarm; harmless on a timer that is not armed."""
    if timer.link == NULL:
        return
    timer.link[0] = timer.next
    if timer.next != NULL:
        timer.next.link = timer.link
    timer.link = NULL
    timer.next = NULL
    if wheel.slots[timer.level][timer.slot] == NULL:
        wheel.occupied[timer.level] &= ~(<uint64_t> 1 << timer.slot)
    CORE_ASSERT(wheel.armed > 0)
    wheel.armed -= 1


cdef bint _next_slot(Wheel* wheel, int* level_out, int* slot_out, uint64_t* tick_out) noexcept nogil:
    """The occupied slot that comes due first, and the tick at which it does."""
    cdef int level, slot, here, turn
    cdef uint64_t span, base
    cdef uint64_t rotated
    for level in range(WHEEL_LEVELS):
        if wheel.occupied[level] == 0:
            continue
        here = (wheel.now >> (level * SLOT_BITS)) & SLOT_MASK
        rotated = wheel.occupied[level] >> here
        if here:
            rotated |= wheel.occupied[level] << (WHEEL_SLOTS - here)
        turn = bit_lowest(rotated)
        slot = (here + turn) & SLOT_MASK
        span = <uint64_t> 1 << (level * SLOT_BITS)
        base = (wheel.now >> (level * SLOT_BITS)) * span
        level_out[0] = level
        slot_out[0] = slot
        # At the top level a slot may be a whole turn ahead although it is the one we stand in.
        tick_out[0] = base + (<uint64_t> turn if turn or level == 0 else <uint64_t> WHEEL_SLOTS) * span
        return True
    return False


cdef int64_t wheel_wait_ms(Wheel* wheel, uint64_t now_ms) noexcept nogil:
    """Milliseconds until the wheel next needs wheel_fire; -1 when no timer is armed."""
    cdef int level = 0, slot = 0
    cdef uint64_t tick = 0, at_ms
    if not _next_slot(wheel, &level, &slot, &tick):
        return -1
    at_ms = tick << WHEEL_TICK_SHIFT
    return <int64_t> (at_ms - now_ms) if at_ms > now_ms else 0


cdef Timer* wheel_fire(Wheel* wheel, uint64_t now_ms) noexcept nogil:
    """Move time on; return the timers that are due, unlinked, chained by `next`."""
    cdef uint64_t target = now_ms >> WHEEL_TICK_SHIFT, tick = 0
    cdef int level = 0, slot = 0
    cdef Timer* due = NULL
    cdef Timer* timer
    while _next_slot(wheel, &level, &slot, &tick) and tick <= target:
        wheel.now = tick
        while wheel.slots[level][slot] != NULL:
            timer = wheel.slots[level][slot]
            wheel_cancel(wheel, timer)
            if timer.tick <= wheel.now:
                timer.next = due
                due = timer
            else:
                _insert(wheel, timer)
                wheel.armed += 1
    if target > wheel.now:
        wheel.now = target
    return due
