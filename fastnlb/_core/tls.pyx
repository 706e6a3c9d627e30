# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See tls.pxd for the contract.

from .counters cimport N_TLS_OBJECTS
from .defs cimport (FAULT_ABORTED, FAULT_IO, FAULT_MEMORY, FAULT_NONE, FAULT_RESET, FAULT_TLS, STEP_EOF, STEP_FAULT,
                    STEP_MOVED, STEP_WANT_READ, STEP_WANT_WRITE, TLS_DESCRIPTOR, TLS_MEMORY, Core, Half, Step, Xport)
from .pool cimport BUFFER_BYTES, pool_get, pool_put
from .sys cimport (CORE_ASSERT, EAGAIN, ECONNRESET, EINTR, EPIPE, MSG_NOSIGNAL, SHUT_WR, errno, recv, send, shutdown,
                   ssize_t)
from .tlsapi cimport (SSL_ERROR_SYSCALL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN)

cdef enum:
    RECORD_BYTES = 16384        # RFC 8446 section 5.1: the most plaintext one record carries
    OUTGOING_BYTES = 65536      # ciphertext that may wait in the write BIO before writing stops
    READS_PER_PULL = 64         # so that a flood of tiny records cannot hold the loop
    WINDOW_BYTES = 131072       # plaintext seen before the mode is weighed again
    MOST_OUTGOING = 131072      # answers to the client may add so much before it is read no further
    MOST_BARREN = 32768         # ciphertext without plaintext: more than any record, so only KeyUpdates and the like


# --- opening and closing ---------------------------------------------------------------------------------------

cdef bint tls_open(Core* k, Half* half, void* context) noexcept nogil:
    """Give the half its SSL object, ready to accept.  False: memory is out; the half is unchanged."""
    cdef void* ssl = k.tls.SSL_new(context)
    if ssl == NULL:
        k.tls.ERR_clear_error()
        return False
    half.ssl = ssl
    k.count[N_TLS_OBJECTS] += 1
    if not _enter_memory_mode(k, half):
        tls_free(k, half)
        return False
    half.more = 0
    k.tls.SSL_set_accept_state(ssl)
    return True


cdef void tls_free(Core* k, Half* half) noexcept nogil:
    _release_cipher(k, half)
    if half.ssl == NULL:
        return
    k.tls.SSL_free(half.ssl)
    half.ssl = NULL
    half.write_bio = NULL
    k.count[N_TLS_OBJECTS] -= 1


# --- modes -----------------------------------------------------------------------------------------------------

cdef bint _enter_memory_mode(Core* k, Half* half) noexcept nogil:
    cdef void* reader = k.tls.BIO_new_mem_buf(b"", 0)
    cdef void* writer = k.tls.BIO_new(k.tls.BIO_s_mem())
    if reader == NULL or writer == NULL:
        if reader != NULL:
            k.tls.BIO_free(reader)
        if writer != NULL:
            k.tls.BIO_free(writer)
        return False
    k.tls.BIO_set_mem_eof_return(reader, -1)
    k.tls.SSL_set_bio(half.ssl, reader, writer)
    half.write_bio = writer
    half.mode = TLS_MEMORY
    # The record layer may still hold plaintext from the other mode.
    half.more = 1
    return True


cdef void _enter_descriptor_mode(Core* k, Half* half) noexcept nogil:
    CORE_ASSERT(half.cipher == NULL and not half.unflushed)
    if k.tls.SSL_set_fd(half.ssl, half.fd) == 1:
        half.write_bio = NULL
        half.mode = TLS_DESCRIPTOR
        half.more = 0
    else:
        k.tls.ERR_clear_error()


cdef void _weigh_mode(Core* k, Half* half) noexcept nogil:
    cdef bint downward = half.window_out > 4 * half.window_in
    half.window_in = 0
    half.window_out = 0
    if half.unflushed or half.cipher != NULL or half.finished or half.notified:
        return
    if downward and half.mode == TLS_MEMORY and not half.more:
        _enter_descriptor_mode(k, half)
    elif not downward and half.mode == TLS_DESCRIPTOR:
        _enter_memory_mode(k, half)


cdef void _weigh(Core* k, Half* half) noexcept nogil:
    if half.window_in + half.window_out >= WINDOW_BYTES:
        _weigh_mode(k, half)


# --- ciphertext in ---------------------------------------------------------------------------------------------

cdef void _release_cipher(Core* k, Half* half) noexcept nogil:
    if half.cipher != NULL:
        pool_put(&k.pool, half.cipher)
        half.cipher = NULL


cdef Step _socket_fault(Half* half) noexcept nogil:
    half.fault = FAULT_RESET if errno == ECONNRESET or errno == EPIPE else FAULT_IO
    return STEP_FAULT


cdef Step _receive(Core* k, Half* half) noexcept nogil:
    """One large recv into half.cipher, which it takes from the pool when there is none."""
    cdef ssize_t n
    if half.finished:
        return STEP_EOF
    if not half.readable:
        return STEP_WANT_READ
    if half.cipher == NULL:
        half.cipher = pool_get(&k.pool)
        if half.cipher == NULL:
            half.fault = FAULT_MEMORY
            return STEP_FAULT
    while True:
        n = recv(half.fd, half.cipher.data, BUFFER_BYTES, 0)
        if n > 0:
            if n < BUFFER_BYTES and not half.hung_up:
                half.readable = 0
            half.cipher.tail = <unsigned int> n
            return STEP_MOVED
        if n == 0:
            half.finished = 1
            if half.spoiled:
                half.fault = FAULT_RESET
                return STEP_FAULT
            return STEP_EOF
        if errno == EAGAIN:
            half.readable = 0
            return STEP_WANT_READ
        if errno != EINTR:
            return _socket_fault(half)


cdef Step _feed(Core* k, Half* half) noexcept nogil:
    """Memory mode: put the next ciphertext under the record layer."""
    cdef void* reader
    cdef Step step = _receive(k, half)
    if step != STEP_MOVED:
        _release_cipher(k, half)
        return step
    reader = k.tls.BIO_new_mem_buf(half.cipher.data, <int> half.cipher.tail)
    if reader == NULL:
        k.tls.ERR_clear_error()
        half.fault = FAULT_MEMORY
        return STEP_FAULT
    k.tls.BIO_set_mem_eof_return(reader, -1)
    # The write BIO is passed as it stands: the library then takes over the new reader only.
    k.tls.SSL_set_bio(half.ssl, reader, half.write_bio)
    half.more = 1
    return STEP_MOVED


cdef Step _why(Core* k, Half* half, int result) noexcept nogil:
    """What a TLS call that returned no success means; leaves the error queue empty."""
    cdef int saved_errno = errno
    cdef int error = k.tls.SSL_get_error(half.ssl, result)
    if error == SSL_ERROR_WANT_READ:
        half.more = 0
        if half.mode == TLS_DESCRIPTOR:
            half.readable = 0
        else:
            _release_cipher(k, half)
        return STEP_WANT_READ
    elif error == SSL_ERROR_WANT_WRITE:
        half.writable = 0
        return STEP_WANT_WRITE
    elif error == SSL_ERROR_ZERO_RETURN:
        return STEP_EOF
    elif error == SSL_ERROR_SYSCALL:
        k.tls.ERR_clear_error()
        half.fault = FAULT_RESET if saved_errno == ECONNRESET or saved_errno == EPIPE else FAULT_IO
        return STEP_FAULT
    else:
        k.tls.ERR_clear_error()
        half.fault = FAULT_TLS
        return STEP_FAULT


# --- ciphertext out --------------------------------------------------------------------------------------------

cdef Step tls_flush(Core* k, Half* half) noexcept nogil:
    """Send what waits in the write BIO.  MOVED: nothing is left."""
    cdef char* data = NULL
    cdef long waiting
    cdef ssize_t n
    half.unflushed = 0
    if half.write_bio == NULL:
        return STEP_MOVED
    waiting = k.tls.BIO_get_mem_data(half.write_bio, &data)
    if half.shut:
        # An answer of the library's own to what the client still sends: the stream has ended, nobody waits for it.
        _discard_sent(k, half, waiting)
        return STEP_MOVED
    while waiting > 0:
        half.unflushed = 1
        if not half.writable:
            return STEP_WANT_WRITE
        n = send(half.fd, data, <size_t> waiting, MSG_NOSIGNAL)
        if n < 0:
            if errno == EINTR:
                continue
            if errno == EAGAIN:
                half.writable = 0
                return STEP_WANT_WRITE
            if errno != EPIPE:
                half.spoiled = 1
            half.unflushed = 0
            _discard_sent(k, half, waiting)
            return STEP_FAULT
        _discard_sent(k, half, n)
        waiting = k.tls.BIO_get_mem_data(half.write_bio, &data)
    half.unflushed = 0
    return STEP_MOVED


cdef void _discard_sent(Core* k, Half* half, ssize_t sent) noexcept nogil:
    # The library has no call that only drops bytes from a BIO.
    cdef int some
    while sent > 0:
        some = k.tls.BIO_read(half.write_bio, k.scratch, <int> min(sent, <ssize_t> sizeof(k.scratch)))
        CORE_ASSERT(some > 0)
        if some <= 0:
            return
        sent -= some


cdef long _outgoing(Core* k, Half* half) noexcept nogil:
    """How much waits in the write BIO."""
    cdef char* data = NULL
    return k.tls.BIO_get_mem_data(half.write_bio, &data) if half.write_bio != NULL else 0


cdef Step _flush_after_read(Core* k, Half* half) noexcept nogil:
    """Reading may have written an alert or a KeyUpdate answer."""
    if _outgoing(k, half) > 0:
        return tls_flush(k, half)
    return STEP_MOVED


# --- the transport ---------------------------------------------------------------------------------------------

cdef Step tls_handshake(Core* k, Half* half) noexcept nogil:
    """Go on with the handshake.  MOVED: it is complete (its last flight may still be unflushed)."""
    cdef Step step
    cdef int result
    if half.unflushed:
        step = tls_flush(k, half)
        if step != STEP_MOVED:
            return _handshake_io(half, step)
    while True:
        if not half.more:
            step = _feed(k, half)
            if step != STEP_MOVED:
                return _handshake_io(half, step)
        k.tls.ERR_clear_error()
        result = k.tls.SSL_do_handshake(half.ssl)
        step = STEP_MOVED if result == 1 else _why(k, half, result)
        if _flush_after_read(k, half) == STEP_FAULT and step != STEP_FAULT:
            return _handshake_io(half, STEP_FAULT)
        if step == STEP_WANT_READ:
            if half.unflushed:
                return STEP_WANT_WRITE
            continue
        # A close_notify here is the client leaving; the library will never read on after it.
        return _handshake_io(half, step) if step == STEP_EOF else step


cdef Step _handshake_io(Half* half, Step step) noexcept nogil:
    """An end or an error of the socket before the handshake is complete: the client left."""
    if step == STEP_EOF or (step == STEP_FAULT and half.fault != FAULT_MEMORY):
        half.fault = FAULT_ABORTED
        return STEP_FAULT
    return step


cdef Step tls_pull(Core* k, Half* half, char* data, size_t room, size_t* moved) noexcept nogil:
    """Decrypt until `data` is full or nothing more is there, so that several records go on in one send."""
    cdef size_t got = 0
    cdef int result, reads = 0
    cdef Step step = STEP_MOVED
    if half.fault != FAULT_NONE:
        return STEP_FAULT
    if half.mode == TLS_DESCRIPTOR:
        # From a descriptor the library would read for as long as records come that hold no plaintext.
        if not half.readable:
            return STEP_WANT_READ
        if not _enter_memory_mode(k, half):
            k.tls.ERR_clear_error()
            half.fault = FAULT_MEMORY
            return STEP_FAULT
    if half.unflushed and tls_flush(k, half) == STEP_WANT_WRITE and _outgoing(k, half) > MOST_OUTGOING:
        return STEP_WANT_WRITE
    while got < room and reads < READS_PER_PULL:
        if not half.more:
            step = _feed(k, half) if got == 0 else STEP_WANT_READ
            if step == STEP_MOVED:
                half.barren += half.cipher.tail
        if step != STEP_MOVED:
            break
        reads += 1
        result = k.tls.SSL_read(half.ssl, data + got, <int> (room - got))
        if result > 0:
            got += <size_t> result
            half.barren = 0
            continue
        step = _why(k, half, result)
        if step != STEP_WANT_READ:
            break
        if half.barren > MOST_BARREN:
            half.fault = FAULT_TLS
            step = STEP_FAULT
            break
        # The ciphertext ran out: look for more, unless there is something to pass on already.
        step = STEP_MOVED
    if _flush_after_read(k, half) == STEP_FAULT:
        half.spoiled = 1
    if got == 0:
        return step
    moved[0] = got
    half.window_in += <unsigned int> got
    _weigh(k, half)
    return STEP_MOVED


cdef Step tls_push(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    cdef Step step = STEP_MOVED
    if half.unflushed:
        step = tls_flush(k, half)
        if step != STEP_MOVED:
            return step
    if half.fault != FAULT_NONE:
        return STEP_FAULT
    if not half.writable:
        return STEP_WANT_WRITE
    step = _encrypt(k, half, data, min(length, <size_t> OUTGOING_BYTES), moved)
    if half.mode == TLS_MEMORY and moved[0] > 0 and tls_flush(k, half) == STEP_FAULT:
        return STEP_FAULT
    if moved[0] == 0:
        return step
    # Only whole records count as bulk: for smaller answers two more reads cost more than the copy saved.
    if moved[0] >= RECORD_BYTES:
        half.window_out += <unsigned int> moved[0]
        _weigh(k, half)
    return STEP_MOVED


cdef Step _encrypt(Core* k, Half* half, const char* data, size_t length, size_t* moved) noexcept nogil:
    """Write records; each call to the library makes one of up to 16 KiB."""
    cdef size_t done = 0
    cdef int result, saved_errno
    cdef Step step = STEP_MOVED
    while done < length:
        result = k.tls.SSL_write(half.ssl, <void*> (data + done), <int> min(length - done, <size_t> RECORD_BYTES))
        if result <= 0:
            saved_errno = errno
            step = _why(k, half, result)
            if step == STEP_FAULT and half.fault != FAULT_TLS:
                # Only writing has failed: what the client sent before may still be read.
                half.fault = FAULT_NONE
                half.spoiled = saved_errno != EPIPE
            break
        done += <size_t> result
    moved[0] = done
    return step


cdef Step tls_shut(Core* k, Half* half) noexcept nogil:
    """close_notify, and after it the end of the TCP stream: this side writes nothing more."""
    cdef int result
    cdef Step step
    if not half.notified and half.fault == FAULT_NONE:
        result = k.tls.SSL_shutdown(half.ssl)
        if result < 0:
            step = _why(k, half, result)
            if step == STEP_WANT_WRITE:
                return step
            # A client that is gone already needs no notice, and this is no fault of the connection.
            half.fault = FAULT_NONE
        half.notified = 1
    step = tls_flush(k, half)
    if step == STEP_WANT_WRITE:
        return step
    shutdown(half.fd, SHUT_WR)
    half.shut = 1
    return STEP_MOVED


cdef Xport _tls
_tls.pull = tls_pull
_tls.push = tls_push
_tls.flush = tls_flush
_tls.shut = tls_shut
_tls.name = b"tls"


cdef const Xport* tls_xport() noexcept nogil:
    return &_tls
