# The TLS library as a table of C function pointers, filled once from integers (fastnlb.tls.binding finds them).
#
# The core links no OpenSSL: a second one in the process would be incompatible with the pointers pyOpenSSL hands
# us.  The same table takes fakes in unit tests.  Names are OpenSSL's own; semantics are those of its manual
# pages.  Opaque library types are void*.

from libc.stdint cimport uint8_t, uint64_t

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
ctypedef unsigned long (*err_peek_error_fn)() noexcept nogil
ctypedef void* (*switch_context_fn)(void* ssl, void* context) noexcept nogil
ctypedef const char* (*ssl_get_servername_fn)(const void* ssl, int kind) noexcept nogil
ctypedef uint64_t (*ssl_set_options_fn)(void* ssl, uint64_t options) noexcept nogil
ctypedef void* (*get_fn)(const void* of) noexcept nogil
ctypedef int (*int_of_fn)(const void* of) noexcept nogil
ctypedef long (*ssl_set_ocsp_fn)(void* ssl, void* response, int length) noexcept nogil
ctypedef void* (*malloc_fn)(size_t size) noexcept nogil
ctypedef int (*name_cmp_fn)(const void* one, const void* other) noexcept nogil
ctypedef void (*store_set_error_fn)(void* store, int error) noexcept nogil

ctypedef int (*servername_cb)(void* ssl, int* alert, void* argument) noexcept nogil
ctypedef int (*alpn_cb)(void* ssl, const uint8_t** chosen, uint8_t* length, const uint8_t* offers, unsigned int size,
                        void* argument) noexcept nogil
ctypedef int (*status_cb)(void* ssl, void* argument) noexcept nogil
ctypedef int (*verify_cb)(int verified, void* store) noexcept nogil
ctypedef long (*set_servername_cb_fn)(void* context, servername_cb callback) noexcept nogil
ctypedef void (*set_alpn_cb_fn)(void* context, alpn_cb callback, void* argument) noexcept nogil
ctypedef long (*set_status_cb_fn)(void* context, status_cb callback) noexcept nogil
ctypedef void (*set_verify_fn)(void* ssl, int mode, verify_cb callback) noexcept nogil
ctypedef void (*info_cb)(const void* ssl, int where, int value) noexcept nogil
ctypedef void (*set_info_cb_fn)(void* context, info_cb callback) noexcept nogil
ctypedef const char* (*text_by_number_fn)(int number) noexcept nogil
ctypedef int (*set_session_id_fn)(void* context, const uint8_t* data, unsigned int length) noexcept nogil
ctypedef void (*algor_get_fn)(const void** name, int* kind, const void** parameters, const void* algor) noexcept nogil
ctypedef const uint8_t* (*bytes_of_fn)(const void* of) noexcept nogil
ctypedef const char* (*text_of_fn)(const void* of) noexcept nogil
ctypedef long (*long_of_fn)(const void* of) noexcept nogil
ctypedef void (*alpn_selected_fn)(const void* ssl, const uint8_t** data, unsigned int* length) noexcept nogil
ctypedef int (*name_index_fn)(const void* name, int nid, int after) noexcept nogil
ctypedef void* (*name_entry_fn)(const void* name, int at) noexcept nogil
ctypedef int (*to_utf8_fn)(uint8_t** out, const void* text) noexcept nogil

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
    ssl_io_fn BIO_read
    bio_set_mem_eof_return_fn BIO_set_mem_eof_return
    bio_get_mem_data_fn BIO_get_mem_data
    err_clear_error_fn ERR_clear_error
    err_peek_error_fn ERR_peek_error
    switch_context_fn SSL_set_SSL_CTX
    ssl_get_servername_fn SSL_get_servername
    ssl_set_options_fn SSL_set_options
    get_fn SSL_get_certificate
    ssl_set_ocsp_fn SSL_set_tlsext_status_ocsp_resp
    malloc_fn OPENSSL_malloc
    set_servername_cb_fn SSL_CTX_set_tlsext_servername_callback
    set_alpn_cb_fn SSL_CTX_set_alpn_select_cb
    set_status_cb_fn SSL_CTX_set_tlsext_status_cb
    set_verify_fn SSL_set_verify
    set_session_id_fn SSL_CTX_set_session_id_context
    algor_get_fn X509_ALGOR_get0
    bytes_of_fn ASN1_STRING_get0_data
    int_of_fn ASN1_STRING_length
    get_fn X509_STORE_CTX_get_current_cert
    int_of_fn X509_STORE_CTX_get_error_depth
    store_set_error_fn X509_STORE_CTX_set_error
    get_fn X509_get_pubkey
    get_fn X509_get0_tbs_sigalg
    get_fn X509_get_subject_name
    get_fn X509_get_issuer_name
    name_cmp_fn X509_NAME_cmp
    int_of_fn EVP_PKEY_id
    int_of_fn EVP_PKEY_bits
    ssl_void_fn EVP_PKEY_free
    int_of_fn OBJ_obj2nid
    alpn_selected_fn SSL_get0_alpn_selected
    text_of_fn SSL_get_version
    get_fn SSL_get_current_cipher
    text_of_fn SSL_CIPHER_get_name
    text_of_fn SSL_get0_group_name
    set_info_cb_fn SSL_CTX_set_info_callback
    get_fn SSL_get_peer_certificate
    long_of_fn SSL_get_verify_result
    ssl_void_fn X509_free
    name_index_fn X509_NAME_get_index_by_NID
    name_entry_fn X509_NAME_get_entry
    get_fn X509_NAME_ENTRY_get_data
    to_utf8_fn ASN1_STRING_to_UTF8
    ssl_void_fn OPENSSL_free
    get_fn X509_get_serialNumber
    int_of_fn X509_NAME_entry_count
    get_fn X509_NAME_ENTRY_get_object
    text_by_number_fn OBJ_nid2sn

cdef int tlsapi_bind(TlsApi* api, addresses) except -1
