# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See pipes.pxd for the contract.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from .sys cimport F_GETPIPE_SZ, F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK, close, fcntl, pipe2


cdef Pipe* pipe_get(Pipes* pipes, uint32_t most, uint64_t now_ms) noexcept nogil:
    """Lend an empty pipe; NULL when `most` are open already or the system gives no more."""
    cdef Pipe* pipe = pipes.spare
    if pipe != NULL:
        pipes.spare = pipe.next
        pipes.spare_count -= 1
        pipes.needless = min(pipes.needless, pipes.spare_count)
    else:
        if pipes.made >= most or now_ms < pipes.retry_ms:
            return NULL
        pipe = _open()
        if pipe == NULL:
            pipes.retry_ms = now_ms + PIPES_RETRY_MS
            return NULL
        pipes.made += 1
    pipes.lent += 1
    return pipe


cdef Pipe* _open() noexcept nogil:
    cdef int[2] ends
    cdef Pipe* pipe
    if pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0:
        return NULL
    _enlarge(ends[1])
    pipe = <Pipe*> malloc(sizeof(Pipe)) if fcntl(ends[1], F_GETPIPE_SZ) >= PIPE_LEAST else NULL
    if pipe == NULL:
        close(ends[0])
        close(ends[1])
        return NULL
    pipe.source = ends[0]
    pipe.sink = ends[1]
    pipe.held = 0
    return pipe


cdef void _enlarge(int end) noexcept nogil:
    """As far as the user may; with too much in pipes already a user gets some that are tiny from the start."""
    cdef int bytes = PIPE_BYTES
    while bytes > <int> PIPE_LEAST and fcntl(end, F_SETPIPE_SZ, bytes) < 0:
        bytes //= 2


cdef void pipe_put(Pipes* pipes, Pipe* pipe) noexcept nogil:
    pipes.lent -= 1
    if pipe.held or pipes.spare_count >= PIPES_SPARE:
        _close(pipes, pipe)
        return
    pipe.next = pipes.spare
    pipes.spare = pipe
    pipes.spare_count += 1


cdef void _close(Pipes* pipes, Pipe* pipe) noexcept nogil:
    close(pipe.source)
    close(pipe.sink)
    free(pipe)
    pipes.made -= 1


cdef void _close_spare(Pipes* pipes, uint32_t count) noexcept nogil:
    cdef Pipe* pipe
    while count and pipes.spare != NULL:
        count -= 1
        pipe = pipes.spare
        pipes.spare = pipe.next
        pipes.spare_count -= 1
        _close(pipes, pipe)


cdef void pipes_look(Pipes* pipes, uint64_t now_ms) noexcept nogil:
    """Close those that nobody needed since the last look; to be called while any are spare."""
    if now_ms < pipes.look_ms:
        return
    _close_spare(pipes, pipes.needless)
    pipes.needless = pipes.spare_count
    pipes.look_ms = now_ms + PIPES_LOOK_MS


cdef void pipes_clear(Pipes* pipes) noexcept nogil:
    """Close the spare ones; lent ones stay with their borrowers."""
    _close_spare(pipes, pipes.spare_count)
    pipes.needless = 0
