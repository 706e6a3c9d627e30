# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See script.pxd for the contract.

from libc.string cimport memcpy

from .defs cimport (STEP_EOF, STEP_FAULT, STEP_MOVED, STEP_WANT_READ, STEP_WANT_WRITE, Core, Half, Step, Xport)
from .sys cimport CORE_ASSERT


cdef Step script_pull(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil:
    cdef Script* script = <Script*> half.script
    cdef Step step
    cdef size_t size, i
    script.pulls += 1
    if script.pull_at == script.pull_count:
        return STEP_WANT_READ
    step = <Step> script.pull_steps[script.pull_at]
    size = min(<size_t> script.pull_sizes[script.pull_at], room)
    script.pull_at += 1
    if step == STEP_MOVED:
        for i in range(size):
            data[i] = <char> script.next_byte
            script.next_byte = (script.next_byte + 1) % 251
        moved[0] = size
    elif step == STEP_FAULT:
        half.fault = script.fault
    elif step == STEP_EOF:
        half.finished = 1
    return step


cdef Step script_push(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    cdef Script* script = <Script*> half.script
    cdef Step step = STEP_WANT_WRITE
    cdef size_t size
    script.pushes += 1
    if script.push_at < script.push_count:
        step = <Step> script.push_steps[script.push_at]
        size = min(<size_t> script.push_sizes[script.push_at], length)
        script.push_at += 1
        if step == STEP_MOVED:
            CORE_ASSERT(script.received + size <= SCRIPT_BYTES)
            memcpy(script.bytes + script.received, data, size)
            script.received += <uint32_t> size
            moved[0] = size
    return step


cdef Step script_flush(Core* k, Half* half) noexcept nogil:
    return STEP_MOVED


cdef Step script_shut(Core* k, Half* half) noexcept nogil:
    cdef Script* script = <Script*> half.script
    script.shuts += 1
    half.shut = 1
    return STEP_MOVED


cdef Xport _script
_script.pull = script_pull
_script.push = script_push
_script.flush = script_flush
_script.shut = script_shut


cdef const Xport* script_xport() noexcept nogil:
    return &_script
