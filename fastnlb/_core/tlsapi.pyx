# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Fills the table from a mapping of names to addresses; see tlsapi.pxd.


cdef int tlsapi_bind(TlsApi* api, addresses) except -1:
    """Raises KeyError naming the function that `addresses` lacks."""
    api.SSL_new = <ssl_new_fn> <size_t> addresses["SSL_new"]
    api.SSL_free = <ssl_void_fn> <size_t> addresses["SSL_free"]
    api.SSL_set_accept_state = <ssl_void_fn> <size_t> addresses["SSL_set_accept_state"]
    api.SSL_do_handshake = <ssl_int_fn> <size_t> addresses["SSL_do_handshake"]
    api.SSL_shutdown = <ssl_int_fn> <size_t> addresses["SSL_shutdown"]
    api.SSL_version = <ssl_int_fn> <size_t> addresses["SSL_version"]
    api.SSL_session_reused = <ssl_int_fn> <size_t> addresses["SSL_session_reused"]
    api.SSL_read = <ssl_io_fn> <size_t> addresses["SSL_read"]
    api.SSL_write = <ssl_io_fn> <size_t> addresses["SSL_write"]
    api.SSL_get_error = <ssl_get_error_fn> <size_t> addresses["SSL_get_error"]
    api.SSL_set_fd = <ssl_set_fd_fn> <size_t> addresses["SSL_set_fd"]
    api.SSL_set_bio = <ssl_set_bio_fn> <size_t> addresses["SSL_set_bio"]
    api.BIO_new_mem_buf = <bio_new_mem_buf_fn> <size_t> addresses["BIO_new_mem_buf"]
    api.BIO_s_mem = <bio_s_mem_fn> <size_t> addresses["BIO_s_mem"]
    api.BIO_new = <bio_new_fn> <size_t> addresses["BIO_new"]
    api.BIO_free = <ssl_int_fn> <size_t> addresses["BIO_free"]
    api.BIO_read = <ssl_io_fn> <size_t> addresses["BIO_read"]
    api.BIO_set_mem_eof_return = <bio_set_mem_eof_return_fn> <size_t> addresses["BIO_set_mem_eof_return"]
    api.BIO_get_mem_data = <bio_get_mem_data_fn> <size_t> addresses["BIO_get_mem_data"]
    api.ERR_clear_error = <err_clear_error_fn> <size_t> addresses["ERR_clear_error"]
    return 0
