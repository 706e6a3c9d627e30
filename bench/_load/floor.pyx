# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# What the TLS library alone costs a server: handshakes in memory, and handshaked connections that do nothing.
#
# Client and server talk through memory BIOs; what one wrote is carried to the other between their steps.  No proxy
# that uses this library can be cheaper.

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastnlb._core.sys cimport clock_gettime, timespec

from .sys cimport CLOCK_THREAD_CPUTIME_ID
from .tls cimport SSL_BOTH_SHUT, context_pointer, tls

cdef enum:
    FLIGHTS = 10                # steps of each side before a handshake is given up
    SCRATCH = 16384

cdef struct End:
    void* ssl                   # owned, with its BIOs
    void* reader                # the ciphertext it has not read
    void* writer                # the ciphertext it has written
    bint done

cdef struct Pair:
    void* server_context
    void* client_context
    End server
    End client
    void* session               # owned; what the client offers, when not NULL
    uint64_t server_ns          # processor time of the server's steps


def handshake_cost(server_context, client_context, uint64_t count, bint resume=False):
    """See bench._load."""
    cdef Pair pair
    cdef uint64_t done = 0
    cdef bint good = True
    if count < 1:
        raise ValueError("a cost needs at least one handshake")
    _make(&pair, server_context, client_context)
    with nogil:
        if resume:
            good = _shake(&pair, True)
            pair.server_ns = 0
        while good and done < count:
            good = _shake(&pair, resume)
            done += 1
        if pair.session != NULL:
            tls.SSL_SESSION_free(pair.session)
    if not good:
        raise RuntimeError("a handshake in memory failed, or was not resumed: do the two contexts fit?")
    return pair.server_ns / <double> count


cdef class IdleSessions:
    """See bench._load."""

    cdef void** held
    cdef uint64_t count

    def __init__(self, server_context, client_context, uint64_t count):
        cdef Pair pair
        cdef bint good = True
        _make(&pair, server_context, client_context)
        self.held = <void**> calloc(count, sizeof(void*))
        if self.held == NULL:
            raise MemoryError()
        with nogil:
            while good and self.count < count:
                good = _meet(&pair)
                if good:
                    # As on a socket: what a BIO takes is not the session's.
                    tls.SSL_set_bio(pair.server.ssl, NULL, NULL)
                    self.held[self.count] = pair.server.ssl
                    self.count += 1
                    pair.server.ssl = NULL
                _part(&pair)
        if not good:
            self.close()
            raise RuntimeError("a handshake in memory failed: do the two contexts fit?")

    def __dealloc__(self):
        self.close()

    def close(self):
        while self.count:
            self.count -= 1
            tls.SSL_free(self.held[self.count])
        free(self.held)
        self.held = NULL


# --- handshakes ------------------------------------------------------------------------------------------------

cdef int _make(Pair* pair, server_context, client_context) except -1:
    memset(pair, 0, sizeof(Pair))
    pair.server_context = context_pointer(server_context)
    pair.client_context = context_pointer(client_context)
    tls.ERR_clear_error()
    return 0


cdef uint64_t _processor_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return <uint64_t> now.tv_sec * <uint64_t> 1000000000 + <uint64_t> now.tv_nsec


cdef bint _open(End* end, void* context) noexcept nogil:
    end.done = False
    end.ssl = tls.SSL_new(context)
    if end.ssl == NULL:
        return False
    end.reader = tls.BIO_new(tls.BIO_s_mem())
    end.writer = tls.BIO_new(tls.BIO_s_mem())
    tls.SSL_set_bio(end.ssl, end.reader, end.writer)
    if end.reader == NULL or end.writer == NULL:
        return False
    tls.BIO_set_mem_eof_return(end.reader, -1)
    return True


cdef void _carry(End* source, End* sink) noexcept nogil:
    cdef char[SCRATCH] scratch
    cdef int some
    while True:
        some = tls.BIO_read(source.writer, scratch, SCRATCH)
        if some <= 0:
            return
        tls.BIO_write(sink.reader, scratch, some)


cdef void _step(End* end) noexcept nogil:
    if not end.done:
        end.done = tls.SSL_do_handshake(end.ssl) == 1
        tls.ERR_clear_error()


cdef bint _meet(Pair* pair) noexcept nogil:
    """A handshake, with the server's processor time.  _part comes after it, whatever it says."""
    cdef uint64_t before = _processor_ns()
    cdef bint good = _open(&pair.server, pair.server_context)
    if good:
        tls.SSL_set_accept_state(pair.server.ssl)
    pair.server_ns += _processor_ns() - before
    if not good or not _open(&pair.client, pair.client_context):
        return False
    tls.SSL_set_connect_state(pair.client.ssl)
    if pair.session != NULL:
        tls.SSL_set_session(pair.client.ssl, pair.session)
    for _ in range(FLIGHTS):
        _step(&pair.client)
        _carry(&pair.client, &pair.server)
        before = _processor_ns()
        _step(&pair.server)
        pair.server_ns += _processor_ns() - before
        _carry(&pair.server, &pair.client)
        if pair.client.done and pair.server.done:
            return True
    return False


cdef void _part(Pair* pair) noexcept nogil:
    """The server's part of it counts as well."""
    cdef uint64_t before = _processor_ns()
    _close(&pair.server)
    pair.server_ns += _processor_ns() - before
    _close(&pair.client)


cdef void _close(End* end) noexcept nogil:
    if end.ssl != NULL:
        # Or the library would forget the session.
        tls.SSL_set_shutdown(end.ssl, SSL_BOTH_SHUT)
        tls.SSL_free(end.ssl)
    memset(end, 0, sizeof(End))


cdef bint _shake(Pair* pair, bint resume) noexcept nogil:
    """One whole handshake; False: it failed, or a session that was offered was not taken."""
    cdef bint offered = pair.session != NULL
    cdef bint good = _meet(pair)
    cdef char nothing = 0
    if good and resume:
        # Tickets come after a TLS 1.3 handshake.
        tls.SSL_read(pair.client.ssl, &nothing, 1)
        tls.ERR_clear_error()
        good = not offered or tls.SSL_session_reused(pair.server.ssl) == 1
        if offered:
            tls.SSL_SESSION_free(pair.session)
        pair.session = tls.SSL_get1_session(pair.client.ssl)
    _part(pair)
    return good
