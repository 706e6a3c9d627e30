# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See tls.pxd for the contract.

from libc.stdint cimport uint8_t, uint64_t

from .alert cimport alert_begin, alert_take
from .counters cimport N_TLS_OBJECTS, N_TLS_RESTING
from .defs cimport (FAULT_ABORTED, FAULT_IO, FAULT_MEMORY, FAULT_NONE, FAULT_RESET, FAULT_TLS, SESSION_ID_BYTES,
                    STEP_EOF, STEP_FAULT, STEP_MOVED, STEP_WANT_READ, STEP_WANT_WRITE, TLS_DESCRIPTOR, TLS_MEMORY,
                    Core, Half, Step, TlsListener, Xport)
from .hello cimport hello_judge_client
from .pool cimport BUFFER_BYTES
from .sys cimport (CORE_ASSERT, ECONNRESET, EPIPE, IPPROTO_TCP, SHUT_WR, TCP_CORK, errno, setsockopt,
                   shutdown)
from .tlsapi cimport SSL_ERROR_SYSCALL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN
from .tlsbio cimport (bio_begin, bio_consumed, bio_feed, bio_flush, bio_outgoing, bio_release_cipher,
                      bio_wake, bio_weigh)

cdef enum:
    RECORD_BYTES = 16384        # RFC 8446 section 5.1: the most plaintext one record carries
    READS_PER_PULL = 64         # so that a flood of tiny records cannot hold the loop
    MOST_OUTGOING = 262144      # what the client has not taken, beyond a whole buffer; then it is read no further
    ERR_REASON_MASK = 0x7FFFFF  # err.h
    TLS1_3_VERSION = 0x0304
    MOST_BARREN = 1024          # records without plaintext in a row: nobody needs so many KeyUpdates


# --- opening and closing ---------------------------------------------------------------------------------------

cdef bint tls_open(Core* k, Half* half, TlsListener* tls) noexcept nogil:
    """Give the half its SSL object, ready to accept.  False: memory is out; the half is unchanged."""
    cdef void* ssl
    if tls.session_ms:
        _turn_session_id(k, tls)
    ssl = k.tls.SSL_new(tls.front)
    if ssl == NULL:
        k.tls.ERR_clear_error()
        return False
    half.ssl = ssl
    alert_begin(ssl)
    k.count[<int> N_TLS_OBJECTS] += 1
    if not bio_begin(k, half):
        tls_free(k, half)
        return False
    # By object, not by context: a front may have been given to another listener since this one was accepted.
    k.tls.SSL_set_verify(ssl, tls.verify_mode, hello_judge_client)
    if tls.options:
        k.tls.SSL_set_options(ssl, tls.options)
    k.tls.SSL_set_accept_state(ssl)
    return True


cdef void _turn_session_id(Core* k, TlsListener* tls) noexcept nogil:
    """Another id for each span of time, the same in every worker: the clock is the machine's.

    A TLS 1.3 client gets a new ticket whenever it resumes; so its certificate would never be looked at again.
    """
    cdef uint64_t turn = k.now_ms // tls.session_ms
    cdef uint64_t change = turn ^ tls.session_turn
    cdef int i
    if change == 0:
        return
    for i in range(8):
        tls.session_id[i] ^= <uint8_t> (change >> (8 * i))
    tls.session_turn = turn
    k.tls.SSL_CTX_set_session_id_context(tls.front, tls.session_id, SESSION_ID_BYTES)


cdef void tls_free(Core* k, Half* half) noexcept nogil:
    bio_release_cipher(k, half)
    if half.ssl == NULL:
        return
    k.tls.SSL_free(half.ssl)
    half.ssl = NULL
    half.read_bio = NULL
    half.write_bio = NULL
    k.count[<int> N_TLS_OBJECTS] -= 1
    if half.resting:
        half.resting = 0
        k.count[<int> N_TLS_RESTING] -= 1


cdef Step _why(Core* k, Half* half, int result) noexcept nogil:
    """What a TLS call that returned no success means; leaves the error queue empty."""
    cdef int saved_errno = errno
    cdef int error = k.tls.SSL_get_error(half.ssl, result)
    alert_take(half)
    if error == SSL_ERROR_WANT_READ:
        # It also comes back after each record without plaintext: what lies behind it is still to be read.
        if bio_consumed(k, half):
            bio_release_cipher(k, half)
        return STEP_WANT_READ
    elif error == SSL_ERROR_WANT_WRITE:
        half.writable = 0
        return STEP_WANT_WRITE
    elif error == SSL_ERROR_ZERO_RETURN:
        half.ended = 1
        bio_release_cipher(k, half)
        return STEP_EOF
    if error != SSL_ERROR_SYSCALL:
        half.fault = FAULT_TLS
        half.reason = <unsigned int> (k.tls.ERR_peek_error() & ERR_REASON_MASK)
    elif saved_errno == ECONNRESET or saved_errno == EPIPE:
        half.fault = FAULT_RESET
    else:
        half.fault = FAULT_IO
    k.tls.ERR_clear_error()
    return STEP_FAULT


# --- the handshake ---------------------------------------------------------------------------------------------

cdef Step tls_handshake(Core* k, Half* half) noexcept nogil:
    """Go on with the handshake.  MOVED: it is complete (its last flight may still be unflushed)."""
    cdef Step step
    cdef int result
    if half.unflushed:
        step = bio_flush(k, half)
        if step != STEP_MOVED:
            return _client_left(half, step)
    while True:
        if not half.more:
            step = bio_feed(k, half)
            if step != STEP_MOVED:
                return _client_left(half, step)
        k.tls.ERR_clear_error()
        result = k.tls.SSL_do_handshake(half.ssl)
        step = STEP_MOVED if result == 1 else _why(k, half, result)
        if step == STEP_MOVED and _tickets_may_wait(k, half):
            half.held_back = <unsigned int> bio_outgoing(k, half)
            return STEP_MOVED
        if bio_outgoing(k, half) > 0 and bio_flush(k, half) == STEP_FAULT and step != STEP_FAULT:
            return _client_left(half, STEP_FAULT)
        if step == STEP_WANT_READ:
            if half.unflushed:
                return STEP_WANT_WRITE
            continue
        # A close_notify here is the client leaving; the library will never read on after it.
        return _client_left(half, step) if step == STEP_EOF else step


cdef bint _tickets_may_wait(Core* k, Half* half) noexcept nogil:
    """Whether the client has asked for something already: then its tickets go along with the answer, in one packet.

    Under TLS 1.3 nothing but tickets is left to say then (RFC 8446 section 4.6.1), and nobody waits for them.
    """
    return k.tls.SSL_version(half.ssl) == TLS1_3_VERSION and not bio_consumed(k, half)


cdef Step _client_left(Half* half, Step step) noexcept nogil:
    """An end or an error of the socket before the handshake is complete: the client left."""
    if step == STEP_EOF or (step == STEP_FAULT and half.fault != FAULT_MEMORY):
        half.fault = FAULT_ABORTED
        return STEP_FAULT
    return step


# --- plaintext in ----------------------------------------------------------------------------------------------

cdef Step tls_pull(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil:
    """Decrypt until `data` is full or nothing more is there, so that several records go on in one send."""
    cdef Step step
    if half.fault != FAULT_NONE:
        return STEP_FAULT
    if half.ended:
        return STEP_EOF
    if half.resting:
        if not half.readable:
            return STEP_WANT_READ
        if not bio_wake(k, half):
            return STEP_FAULT
    if half.mode == TLS_DESCRIPTOR:
        if not half.readable:
            return STEP_WANT_READ
        if not _leave_descriptor_mode(k, half):
            return STEP_FAULT
    if half.unflushed and bio_flush(k, half) == STEP_WANT_WRITE and bio_outgoing(k, half) > MOST_OUTGOING:
        return STEP_WANT_WRITE
    step = _decrypt(k, half, data, room, moved)
    # Reading may have written an alert or a KeyUpdate answer; whether the client takes it shows at the next write.
    if bio_outgoing(k, half) > half.held_back:
        bio_flush(k, half)
    if moved[0] == 0:
        return step
    half.window_in += <unsigned int> moved[0]
    bio_weigh(k, half)
    return STEP_MOVED


cdef Step _decrypt(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil:
    """MOVED with nothing moved: the records read so far held no plaintext, and there may be more."""
    cdef int result, reads = 0
    cdef Step step = STEP_MOVED
    while moved[0] < room and reads < READS_PER_PULL:
        if not half.more:
            # Look for more ciphertext, unless there is something to pass on already.
            step = bio_feed(k, half) if moved[0] == 0 else STEP_WANT_READ
            if step != STEP_MOVED:
                return step
        reads += 1
        result = k.tls.SSL_read(half.ssl, data + moved[0], <int> (room - moved[0]))
        if result > 0:
            moved[0] += <size_t> result
            half.barren = 0
            continue
        step = _why(k, half, result)
        if step != STEP_WANT_READ:
            return step
        # With ciphertext left this was a whole record, not the first part of one.
        half.barren += half.more
        if half.barren > MOST_BARREN:
            half.fault = FAULT_TLS
            return STEP_FAULT
    return STEP_MOVED


cdef bint _leave_descriptor_mode(Core* k, Half* half) noexcept nogil:
    """Before the client is read again.  A record the socket has not taken whole goes on into the memory BIO."""
    cdef int result
    if not bio_begin(k, half):
        half.fault = FAULT_MEMORY
        return False
    if half.pending_length == 0:
        return True
    result = k.tls.SSL_write(half.ssl, <void*> half.pending, <int> half.pending_length)
    if result <= 0:
        _why(k, half, result)
        half.fault = FAULT_TLS
        return False
    half.pending_length = 0
    half.prepaid = <unsigned int> result
    half.unflushed = 1
    return True


# --- plaintext out ---------------------------------------------------------------------------------------------

cdef Step tls_push(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    cdef Step step
    if half.unflushed:
        step = bio_flush(k, half)
        if step != STEP_MOVED:
            return step
    if half.fault != FAULT_NONE or half.lost:
        return STEP_FAULT
    if half.prepaid:
        CORE_ASSERT(half.prepaid <= length)
        moved[0] = half.prepaid
        half.prepaid = 0
        return STEP_MOVED
    if not half.writable:
        return STEP_WANT_WRITE
    if not bio_wake(k, half):
        return STEP_FAULT
    if half.mode == TLS_MEMORY:
        # What the client does not take waits in the BIO, however large the buffer is that it comes from.
        step = _encrypt(k, half, data, min(length, <size_t> BUFFER_BYTES), moved)
        if moved[0] > 0 and bio_flush(k, half) == STEP_FAULT:
            return STEP_FAULT
    else:
        step = _encrypt_corked(k, half, data, length, moved)
    if moved[0] == 0:
        return step
    # Only whole records count as bulk: for smaller answers a change of mode costs more than the copy saved.
    if moved[0] >= RECORD_BYTES:
        half.window_out += <unsigned int> moved[0]
        bio_weigh(k, half)
    return STEP_MOVED


cdef Step _encrypt(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    """Write records; each call to the library makes one of up to 16 KiB.

    After WANT_WRITE the library wants the same bytes again: the flow holds them until they have been taken.
    """
    cdef size_t size
    cdef int result
    cdef Step step = STEP_MOVED
    half.pending_length = 0
    while moved[0] < length:
        size = min(length - moved[0], <size_t> RECORD_BYTES)
        result = k.tls.SSL_write(half.ssl, <void*> (data + moved[0]), <int> size)
        if result <= 0:
            step = _why(k, half, result)
            if step == STEP_WANT_WRITE:
                half.pending = data + moved[0]
                half.pending_length = <unsigned int> size
            break
        moved[0] += <size_t> result
    return step


cdef Step _encrypt_corked(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    """In descriptor mode every record is a system call: have them share packets, and wake the client less often."""
    cdef int on = 1, off = 0
    cdef bint several = length > RECORD_BYTES
    cdef Step step
    if several:
        setsockopt(half.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on))
    step = _encrypt(k, half, data, length, moved)
    if several:
        setsockopt(half.fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off))
    return step


cdef Step tls_shut(Core* k, Half* half) noexcept nogil:
    """close_notify, and after it the end of the TCP stream: this side writes nothing more."""
    cdef int result
    if not half.notified and half.fault == FAULT_NONE and not half.lost and bio_wake(k, half):
        result = k.tls.SSL_shutdown(half.ssl)
        if result < 0:
            if _why(k, half, result) == STEP_WANT_WRITE:
                return STEP_WANT_WRITE
            # A client that is gone already needs no notice, and this is no fault of the connection.
            half.fault = FAULT_NONE
        half.notified = 1
    if bio_outgoing(k, half) > 0 and bio_flush(k, half) == STEP_WANT_WRITE:
        return STEP_WANT_WRITE
    if not half.closes:
        shutdown(half.fd, SHUT_WR)
    half.shut = 1
    return STEP_FAULT if half.lost else STEP_MOVED


cdef Xport _tls
_tls.pull = tls_pull
_tls.push = tls_push
_tls.flush = bio_flush
_tls.shut = tls_shut


cdef const Xport* tls_xport() noexcept nogil:
    return &_tls
