# The TLS library as a table of C function pointers, filled once from integers (fastnlb.tls.binding finds them).
#
# The core links no OpenSSL: a second one in the process would be incompatible with the pointers pyOpenSSL hands
# us.  The same table takes fakes in unit tests.  Names are OpenSSL's own; semantics are those of its manual
# pages.  Opaque library types are void*.

cdef enum:
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_SYSCALL = 5
    SSL_ERROR_ZERO_RETURN = 6

ctypedef void* (*ssl_new_fn)(void* context) noexcept nogil
ctypedef void (*ssl_void_fn)(void* ssl) noexcept nogil
ctypedef int (*ssl_int_fn)(void* ssl) noexcept nogil
ctypedef int (*ssl_io_fn)(void* ssl, void* data, int length) noexcept nogil
ctypedef int (*ssl_get_error_fn)(void* ssl, int result) noexcept nogil
ctypedef int (*ssl_set_fd_fn)(void* ssl, int fd) noexcept nogil
ctypedef void (*ssl_set_bio_fn)(void* ssl, void* read_bio, void* write_bio) noexcept nogil
ctypedef void* (*bio_new_mem_buf_fn)(const void* data, int length) noexcept nogil
ctypedef void* (*bio_s_mem_fn)() noexcept nogil
ctypedef void* (*bio_new_fn)(void* method) noexcept nogil
ctypedef long (*bio_set_mem_eof_return_fn)(void* bio, int value) noexcept nogil
ctypedef long (*bio_get_mem_data_fn)(void* bio, char** data) noexcept nogil
ctypedef void (*err_clear_error_fn)() noexcept nogil

cdef struct TlsApi:
    ssl_new_fn SSL_new
    ssl_void_fn SSL_free
    ssl_void_fn SSL_set_accept_state
    ssl_int_fn SSL_do_handshake
    ssl_int_fn SSL_shutdown
    ssl_int_fn SSL_version
    ssl_int_fn SSL_session_reused
    ssl_io_fn SSL_read
    ssl_io_fn SSL_write
    ssl_get_error_fn SSL_get_error
    ssl_set_fd_fn SSL_set_fd
    ssl_set_bio_fn SSL_set_bio
    bio_new_mem_buf_fn BIO_new_mem_buf
    bio_s_mem_fn BIO_s_mem
    bio_new_fn BIO_new
    ssl_int_fn BIO_free
    ssl_io_fn BIO_read
    bio_set_mem_eof_return_fn BIO_set_mem_eof_return
    bio_get_mem_data_fn BIO_get_mem_data
    err_clear_error_fn ERR_clear_error

cdef int tlsapi_bind(TlsApi* api, addresses) except -1
