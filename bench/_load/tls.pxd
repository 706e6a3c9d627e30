# The TLS library that cryptography carries, as a table of function pointers filled when the module is imported.
#
# As in the core, no system libssl is linked: it could not share contexts with pyOpenSSL.  Names and semantics are
# OpenSSL's own.  The error queue is cleared after each failure, so that SSL_get_error never sees a stale entry.

cdef enum:
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_MODE = 3                # ENABLE_PARTIAL_WRITE and ACCEPT_MOVING_WRITE_BUFFER
    SSL_BOTH_SHUT = 3           # SENT_SHUTDOWN and RECEIVED_SHUTDOWN

ctypedef void* (*new_fn)(void* of) noexcept nogil
ctypedef void* (*make_fn)() noexcept nogil
ctypedef void (*void_fn)(void* of) noexcept nogil
ctypedef void (*nothing_fn)() noexcept nogil
ctypedef int (*int_fn)(void* of) noexcept nogil
ctypedef int (*io_fn)(void* of, void* data, int length) noexcept nogil
ctypedef int (*with_int_fn)(void* ssl, int value) noexcept nogil
ctypedef int (*with_pointer_fn)(void* ssl, void* value) noexcept nogil
ctypedef long (*set_mode_fn)(void* ssl, long mode) noexcept nogil
ctypedef long (*set_name_fn)(void* ssl, const char* name) noexcept nogil
ctypedef void (*set_bio_fn)(void* ssl, void* reader, void* writer) noexcept nogil
ctypedef void (*set_shutdown_fn)(void* ssl, int mode) noexcept nogil

cdef struct Tls:
    new_fn SSL_new
    void_fn SSL_free
    void_fn SSL_set_connect_state
    void_fn SSL_set_accept_state
    set_mode_fn SSL_set_mode
    set_name_fn SSL_set_tlsext_host_name
    with_int_fn SSL_set_fd
    int_fn SSL_do_handshake
    io_fn SSL_read
    io_fn SSL_write
    with_int_fn SSL_get_error
    int_fn SSL_shutdown
    set_shutdown_fn SSL_set_shutdown
    with_pointer_fn SSL_set_session
    new_fn SSL_get1_session
    void_fn SSL_SESSION_free
    int_fn SSL_session_reused
    set_bio_fn SSL_set_bio
    make_fn BIO_s_mem
    new_fn BIO_new
    io_fn BIO_read
    io_fn BIO_write
    with_int_fn BIO_set_mem_eof_return
    nothing_fn ERR_clear_error

cdef Tls tls

cdef void* context_pointer(context) except NULL
