# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See tls.pxd for the contract.  A library without one of the names fails the import with a line that says so.

from cryptography.hazmat.bindings._rust import _openssl

from fastnlb.tls.binding import context_address


cdef void* _function(str name) except NULL:
    if not hasattr(_openssl.lib, name):
        raise ImportError(f"the installed cryptography does not export {name}: take the range in pyproject.toml")
    return <void*> <size_t> int(_openssl.ffi.cast("uintptr_t", _openssl.ffi.addressof(_openssl.lib, name)))


cdef void* context_pointer(context) except NULL:
    """The SSL_CTX* of a pyOpenSSL context, which has to outlive it."""
    return <void*> <size_t> context_address(context)


cdef int _bind() except -1:
    tls.SSL_new = <new_fn> _function("SSL_new")
    tls.SSL_free = <void_fn> _function("SSL_free")
    tls.SSL_set_connect_state = <void_fn> _function("SSL_set_connect_state")
    tls.SSL_set_accept_state = <void_fn> _function("SSL_set_accept_state")
    tls.SSL_set_mode = <set_mode_fn> _function("SSL_set_mode")
    tls.SSL_set_tlsext_host_name = <set_name_fn> _function("SSL_set_tlsext_host_name")
    tls.SSL_set_fd = <with_int_fn> _function("SSL_set_fd")
    tls.SSL_do_handshake = <int_fn> _function("SSL_do_handshake")
    tls.SSL_read = <io_fn> _function("SSL_read")
    tls.SSL_write = <io_fn> _function("SSL_write")
    tls.SSL_get_error = <with_int_fn> _function("SSL_get_error")
    tls.SSL_shutdown = <int_fn> _function("SSL_shutdown")
    tls.SSL_set_shutdown = <set_shutdown_fn> _function("SSL_set_shutdown")
    tls.SSL_set_session = <with_pointer_fn> _function("SSL_set_session")
    tls.SSL_get1_session = <new_fn> _function("SSL_get1_session")
    tls.SSL_SESSION_free = <void_fn> _function("SSL_SESSION_free")
    tls.SSL_session_reused = <int_fn> _function("SSL_session_reused")
    tls.SSL_set_bio = <set_bio_fn> _function("SSL_set_bio")
    tls.BIO_s_mem = <make_fn> _function("BIO_s_mem")
    tls.BIO_new = <new_fn> _function("BIO_new")
    tls.BIO_read = <io_fn> _function("BIO_read")
    tls.BIO_write = <io_fn> _function("BIO_write")
    tls.BIO_set_mem_eof_return = <with_int_fn> _function("BIO_set_mem_eof_return")
    tls.ERR_clear_error = <nothing_fn> _function("ERR_clear_error")
    return 0


_bind()
