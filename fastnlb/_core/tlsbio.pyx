# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See tlsbio.pxd for the contract.

from .counters cimport N_TLS_RESTING
from .defs cimport (FAULT_MEMORY, STEP_EOF, STEP_FAULT, STEP_MOVED, STEP_WANT_WRITE, TLS_DESCRIPTOR, TLS_MEMORY, Core,
                    Half, Step)
from .plain cimport plain_pull, plain_push
from .pool cimport BUFFER_BYTES, pool_get, pool_put
from .sys cimport CORE_ASSERT

cdef enum:
    WINDOW_BYTES = 131072       # plaintext seen before the mode is weighed again
    KEPT_BYTES = 16384          # a write BIO that has held more is replaced: the library never shrinks one


# --- modes -----------------------------------------------------------------------------------------------------

cdef bint bio_begin(Core* k, Half* half) noexcept nogil:
    """Memory mode with an empty write BIO; bio_feed brings readers.  False: memory is out, the half is unchanged."""
    cdef void* writer = k.tls.BIO_new(k.tls.BIO_s_mem())
    if writer == NULL:
        k.tls.ERR_clear_error()
        return False
    k.tls.SSL_set_bio(half.ssl, NULL, writer)
    half.read_bio = NULL
    half.write_bio = writer
    half.mode = TLS_MEMORY
    half.more = 0
    return True


cdef void _enter_descriptor(Core* k, Half* half) noexcept nogil:
    CORE_ASSERT(half.cipher == NULL and not half.unflushed and not half.held_back)
    if k.tls.SSL_set_fd(half.ssl, half.fd) == 1:
        half.read_bio = NULL
        half.write_bio = NULL
        half.mode = TLS_DESCRIPTOR
        half.more = 0
    else:
        k.tls.ERR_clear_error()


cdef void bio_weigh(Core* k, Half* half) noexcept nogil:
    """After bytes have moved: change to descriptor mode when the bulk goes down."""
    cdef bint downward
    if half.window_in + half.window_out < WINDOW_BYTES:
        return
    downward = half.window_out > 4 * half.window_in
    half.window_in = 0
    half.window_out = 0
    if half.mode != TLS_MEMORY or not downward:
        return
    if half.cipher == NULL and not half.more and not half.unflushed and not half.finished and not half.lost:
        _enter_descriptor(k, half)


cdef bint bio_rest(Core* k, Half* half) noexcept nogil:
    """Give back what only use needs: both BIOs with what they have grown to, and the OCSP response that was sent.

    False: something is under way, and the half is unchanged.
    """
    if half.cipher != NULL or half.more or half.unflushed or half.held_back or half.pending_length:
        return False
    if bio_outgoing(k, half) > 0:
        return False
    k.tls.SSL_set_bio(half.ssl, NULL, NULL)
    k.tls.SSL_set_tlsext_status_ocsp_resp(half.ssl, NULL, 0)
    half.read_bio = NULL
    half.write_bio = NULL
    half.resting = 1
    k.count[<int> N_TLS_RESTING] += 1
    return True


cdef bint bio_wake(Core* k, Half* half) noexcept nogil:
    """Be ready for the library to read and write.  False: memory is out, which is the half's fault from now on."""
    if not half.resting:
        return True
    if not bio_begin(k, half):
        half.fault = FAULT_MEMORY
        return False
    half.resting = 0
    k.count[<int> N_TLS_RESTING] -= 1
    return True


# --- ciphertext in ---------------------------------------------------------------------------------------------

cdef void bio_release_cipher(Core* k, Half* half) noexcept nogil:
    half.more = 0
    if half.cipher != NULL:
        pool_put(half.cipher)
        half.cipher = NULL


cdef bint bio_consumed(Core* k, const Half* half) noexcept nogil:
    """Whether the record layer has taken all ciphertext it was given."""
    cdef char* data = NULL
    return half.read_bio == NULL or k.tls.BIO_get_mem_data(half.read_bio, &data) <= 0


cdef Step _receive(Core* k, Half* half) noexcept nogil:
    """One large recv into half.cipher, which it takes from the pool when there is none."""
    cdef size_t moved = 0
    cdef Step step
    if half.finished:
        return STEP_EOF
    if half.cipher == NULL:
        half.cipher = pool_get(&k.pool)
        if half.cipher == NULL:
            half.fault = FAULT_MEMORY
            return STEP_FAULT
    step = plain_pull(k, half, half.cipher.data, BUFFER_BYTES, &moved)
    half.cipher.tail = <unsigned int> moved
    return step


cdef Step bio_feed(Core* k, Half* half) noexcept nogil:
    """Memory mode: put the next ciphertext under the record layer."""
    cdef void* reader
    cdef Step step = _receive(k, half)
    if step != STEP_MOVED:
        bio_release_cipher(k, half)
        return step
    reader = k.tls.BIO_new_mem_buf(half.cipher.data, <int> half.cipher.tail)
    if reader == NULL:
        k.tls.ERR_clear_error()
        half.fault = FAULT_MEMORY
        return STEP_FAULT
    k.tls.BIO_set_mem_eof_return(reader, -1)
    # The write BIO is passed as it stands: the library then takes over the new reader only.
    k.tls.SSL_set_bio(half.ssl, reader, half.write_bio)
    half.read_bio = reader
    half.more = 1
    return STEP_MOVED


# --- ciphertext out --------------------------------------------------------------------------------------------

cdef long bio_outgoing(Core* k, Half* half) noexcept nogil:
    """Bytes of ciphertext that wait in the write BIO."""
    cdef char* data = NULL
    return k.tls.BIO_get_mem_data(half.write_bio, &data) if half.write_bio != NULL else 0


cdef void _discard(Core* k, Half* half, long count) noexcept nogil:
    # The library has no call that only drops bytes from a BIO.
    cdef int some
    while count > 0:
        some = k.tls.BIO_read(half.write_bio, k.scratch, <int> min(count, <long> sizeof(k.scratch)))
        CORE_ASSERT(some > 0)
        if some <= 0:
            return
        count -= some


cdef Step bio_flush(Core* k, Half* half) noexcept nogil:
    """Send what waits in the write BIO.  MOVED: nothing is left.  FAULT: the client takes no more (half.lost)."""
    cdef char* data = NULL
    cdef long most = bio_outgoing(k, half), waiting = most
    cdef size_t sent
    cdef Step step
    half.held_back = 0
    while waiting > 0 and not half.lost and not half.shut:
        half.unflushed = 1
        sent = 0
        k.tls.BIO_get_mem_data(half.write_bio, &data)
        step = plain_push(k, half, data, <size_t> waiting, &sent)
        if step == STEP_WANT_WRITE:
            return step
        _discard(k, half, <long> sent)
        waiting -= <long> sent
    # After the end of our stream only answers of the library's own are left: nobody waits for them.
    _discard(k, half, waiting)
    half.unflushed = 0
    if most > KEPT_BYTES and half.cipher == NULL and not half.more:
        bio_begin(k, half)
    return STEP_FAULT if half.lost else STEP_MOVED
