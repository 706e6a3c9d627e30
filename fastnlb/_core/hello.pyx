# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See hello.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, strlen
from libc.time cimport time

from .accesslog cimport accesslog_offer
from .alert cimport alert_note
from .clientcert cimport clientcert_is_weak
from .counters cimport (N_CLIENT_CERTIFICATES_REFUSED, N_CLIENT_CERTIFICATES_WEAK, N_REFUSED_ALPN, N_REFUSED_NAME,
                        N_STAPLES_EXPIRED, N_STAPLES_SENT)
from .defs cimport SESSION_ID_BYTES, Conn, Core, Identity, Staple, TlsListener
from .names cimport NAME_UNKNOWN, names_find
from .tally cimport tally_alert
from .tlsapi cimport TlsApi

cdef extern from *:
    """
    static _Thread_local void *hello_core;
    static _Thread_local void *hello_conn;
    static _Thread_local int hello_judged;
    """
    void* hello_core
    void* hello_conn
    int hello_judged

cdef enum:                     # ssl.h, tls1.h
    TLSEXT_NAMETYPE_host_name = 0
    SSL_TLSEXT_ERR_OK = 0
    SSL_TLSEXT_ERR_ALERT_FATAL = 2
    SSL_TLSEXT_ERR_NOACK = 3
    SSL_CB_WRITE = 0x08
    SSL_CB_ALERT = 0x4000
    ALERT_CODE = 0xFF          # above it is the level
    ALERT_INTERNAL_ERROR = 80
    ALERT_UNRECOGNIZED_NAME = 112


cdef void hello_enter(Core* k, Conn* c) noexcept nogil:
    global hello_core, hello_conn, hello_judged
    hello_core = k
    hello_conn = c
    hello_judged = 0


cdef void hello_leave() noexcept nogil:
    global hello_core, hello_conn
    hello_core = NULL
    hello_conn = NULL


cdef void hello_install_front(const TlsApi* api, void* context) noexcept nogil:
    """On the context a listener's SSL objects are made from."""
    api.SSL_CTX_set_tlsext_servername_callback(context, _choose_identity)
    api.SSL_CTX_set_info_callback(context, _on_info)


cdef void hello_install_inner(const TlsApi* api, void* context) noexcept nogil:
    """On a context with certificates: the library asks it once the server name has chosen it."""
    api.SSL_CTX_set_alpn_select_cb(context, _choose_protocol, NULL)
    api.SSL_CTX_set_tlsext_status_cb(context, _staple)
    api.SSL_CTX_set_info_callback(context, _on_info)


# --- alerts ----------------------------------------------------------------------------------------------------

cdef void _on_info(const void* ssl, int where, int value) noexcept nogil:
    """The library tells what it does; all but alerts is passed over.  One after the handshake is counted at the end
    of the connection, when it is why that ended.
    """
    if not where & SSL_CB_ALERT:
        return
    alert_note(ssl, where & SSL_CB_WRITE != 0, value & ALERT_CODE)
    if hello_conn != NULL:
        tally_alert(<Conn*> hello_conn, where & SSL_CB_WRITE != 0, value & ALERT_CODE)


# --- the server name -------------------------------------------------------------------------------------------

cdef int _choose_identity(void* ssl, int* alert, void* unused) noexcept nogil:
    """Called for every ClientHello, also for one without a server name (RFC 6066 section 3)."""
    cdef Core* k = <Core*> hello_core
    cdef Conn* c = <Conn*> hello_conn
    cdef TlsListener* tls
    cdef const char* name
    cdef uint32_t number = NAME_UNKNOWN
    alert[0] = ALERT_INTERNAL_ERROR
    if c == NULL:
        return SSL_TLSEXT_ERR_ALERT_FATAL
    tls = c.listener.tls
    name = k.tls.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
    if name != NULL:
        number = names_find(&tls.names, name, strlen(name))
    if number == <uint32_t> NAME_UNKNOWN:
        if tls.strict_sni:
            k.count[<int> N_REFUSED_NAME] += 1
            alert[0] = ALERT_UNRECOGNIZED_NAME
            return SSL_TLSEXT_ERR_ALERT_FATAL
        number = 0
    c.identity = number
    return _switch(k, tls, ssl, tls.identities[number].context)


cdef int _switch(Core* k, const TlsListener* tls, void* ssl, void* context) noexcept nogil:
    """The library takes the context's session id over, and asks for it once more after a HelloRetryRequest."""
    k.tls.SSL_CTX_set_session_id_context(context, tls.session_id, SESSION_ID_BYTES)
    return SSL_TLSEXT_ERR_OK if k.tls.SSL_set_SSL_CTX(ssl, context) != NULL else SSL_TLSEXT_ERR_ALERT_FATAL


# --- ALPN ------------------------------------------------------------------------------------------------------

cdef const uint8_t* _offered(const uint8_t* offers, uint32_t size, const uint8_t* wanted) noexcept nogil:
    """Where the protocol `wanted` (its length first) stands in the client's list; NULL when it does not."""
    cdef uint32_t at = 0
    while at < size and at + 1 + offers[at] <= size:
        if offers[at] == wanted[0] and memcmp(&offers[at + 1], &wanted[1], wanted[0]) == 0:
            return &offers[at]
        at += 1 + <uint32_t> offers[at]
    return NULL


cdef int _choose_protocol(void* ssl, const uint8_t** chosen, uint8_t* length, const uint8_t* offers,
                          unsigned int size, void* unused) noexcept nogil:
    """The first protocol of ours that the client offers (RFC 7301 section 3.2)."""
    cdef Core* k = <Core*> hello_core
    cdef Conn* c = <Conn*> hello_conn
    cdef TlsListener* tls
    cdef const uint8_t* found
    cdef uint32_t at = 0
    if c == NULL:
        return SSL_TLSEXT_ERR_ALERT_FATAL
    accesslog_offer(k, c, offers, size)
    tls = c.listener.tls
    while at < tls.alpn_length:
        found = _offered(offers, size, &tls.alpn[at])
        if found != NULL:
            chosen[0] = found + 1
            length[0] = found[0]
            return SSL_TLSEXT_ERR_OK
        at += 1 + <uint32_t> tls.alpn[at]
    if tls.alpn_length and tls.alpn_strict:
        k.count[<int> N_REFUSED_ALPN] += 1
        return SSL_TLSEXT_ERR_ALERT_FATAL
    return SSL_TLSEXT_ERR_NOACK


# --- OCSP ------------------------------------------------------------------------------------------------------

cdef const Staple* _staple_of(const Identity* identity, void* leaf) noexcept nogil:
    cdef uint32_t i
    for i in range(identity.staple_count):
        if identity.staples[i].leaf == leaf:
            return &identity.staples[i]
    return NULL


cdef int _staple(void* ssl, void* unused) noexcept nogil:
    """The client asks for the certificate's status (RFC 6066 section 8); going without is never an error."""
    cdef Core* k = <Core*> hello_core
    cdef Conn* c = <Conn*> hello_conn
    cdef const Staple* staple
    cdef void* copy
    if c == NULL:
        return SSL_TLSEXT_ERR_NOACK
    staple = _staple_of(&c.listener.tls.identities[c.identity], k.tls.SSL_get_certificate(ssl))
    if staple == NULL:
        return SSL_TLSEXT_ERR_NOACK
    if staple.until <= time(NULL):
        k.count[<int> N_STAPLES_EXPIRED] += 1
        return SSL_TLSEXT_ERR_NOACK
    copy = k.tls.OPENSSL_malloc(staple.length)
    if copy == NULL:
        return SSL_TLSEXT_ERR_NOACK
    memcpy(copy, staple.der, staple.length)
    # The library owns the copy from here on.
    k.tls.SSL_set_tlsext_status_ocsp_resp(ssl, copy, <int> staple.length)
    k.count[<int> N_STAPLES_SENT] += 1
    return SSL_TLSEXT_ERR_OK


# --- the client's certificate ----------------------------------------------------------------------------------

cdef int hello_judge_client(int verified, void* store) noexcept nogil:
    """What SSL_set_verify takes: called for each certificate of the client's chain, from the authority down, and for
    each fault in it; all of that within one step of the handshake.
    """
    global hello_judged
    cdef Core* k = <Core*> hello_core
    cdef Conn* c = <Conn*> hello_conn
    cdef bint anchor = hello_judged == 0
    if c == NULL:
        return 0
    if not verified:
        k.count[<int> N_CLIENT_CERTIFICATES_REFUSED] += 1
        return 0
    hello_judged += 1
    if clientcert_is_weak(&k.tls, store, anchor):
        k.count[<int> N_CLIENT_CERTIFICATES_REFUSED] += 1
        k.count[<int> N_CLIENT_CERTIFICATES_WEAK] += 1
        return 0
    c.authenticated = k.tls.X509_STORE_CTX_get_error_depth(store) == 0
    return 1
