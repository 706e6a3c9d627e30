# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See proxyfacts.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset, strlen

from .defs cimport Conn, Core, Identity, Leaf
from .endpoint cimport endpoint_local, endpoint_peer
from .proxyout cimport PROXY_ALPN, PROXY_AUTHORITY, PROXY_SSL, ProxyFacts, Span, proxyout_write
from .proxywire cimport PP2_CLIENT_CERT_CONN, PP2_CLIENT_CERT_SESS, PP2_CLIENT_SSL

cdef enum:                     # tls1.h, obj_mac.h, x509_vfy.h
    TLSEXT_NAMETYPE_host_name = 0
    NID_commonName = 13
    X509_V_ERR_UNSPECIFIED = 1

cdef enum:
    MOST_TEXT = 255            # a longer name is left out: a part of a name is another name


cdef uint32_t proxyfacts_header(Core* k, Conn* c, uint8_t* out, uint32_t room) noexcept nogil:
    """How many bytes it has; 0: the client is gone, or it does not fit."""
    cdef ProxyFacts facts
    cdef uint8_t* name = NULL      # owned: the library's, what facts.common_name is in
    cdef uint32_t length
    memset(&facts, 0, sizeof(facts))
    facts.flags = c.listener.proxy.flags
    facts.ids.data = c.listener.proxy.ids
    facts.ids.length = c.listener.proxy.ids_length
    if not _ask_addresses(c, &facts):
        return 0
    if c.client.ssl != NULL:
        _ask_names(k, c.client.ssl, &facts)
        if facts.flags & PROXY_SSL:
            _ask_tls(k, c, &facts)
            _ask_client(k, c, &facts, &name)
    length = proxyout_write(&facts, out, room)
    if name != NULL:
        k.tls.OPENSSL_free(name)
    return length


cdef bint _ask_addresses(Conn* c, ProxyFacts* facts) noexcept nogil:
    """What a header that was accepted has said, or else those of the socket."""
    if c.source.family:
        facts.source = c.source
        facts.target = c.target
        return True
    return endpoint_peer(&facts.source, c.client.fd) and endpoint_local(&facts.target, c.client.fd)


cdef void _text(Span* span, const char* text) noexcept nogil:
    cdef size_t length = 0 if text == NULL else strlen(text)
    if length <= MOST_TEXT:
        span.data = <const uint8_t*> text
        span.length = <uint32_t> length


cdef void _ask_names(Core* k, void* ssl, ProxyFacts* facts) noexcept nogil:
    cdef unsigned int length = 0
    if facts.flags & PROXY_ALPN:
        k.tls.SSL_get0_alpn_selected(ssl, &facts.alpn.data, &length)
        facts.alpn.length = length
    if facts.flags & PROXY_AUTHORITY:
        _text(&facts.authority, k.tls.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))


cdef void _ask_tls(Core* k, Conn* c, ProxyFacts* facts) noexcept nogil:
    cdef void* ssl = c.client.ssl
    cdef const Leaf* leaf = _leaf(k, c)
    facts.client = PP2_CLIENT_SSL
    facts.verify = X509_V_ERR_UNSPECIFIED
    _text(&facts.version, k.tls.SSL_get_version(ssl))
    _text(&facts.cipher, k.tls.SSL_CIPHER_get_name(k.tls.SSL_get_current_cipher(ssl)))
    if leaf != NULL:
        _text(&facts.key_alg, leaf.key_alg)
        _text(&facts.sig_alg, leaf.sig_alg)


cdef const Leaf* _leaf(Core* k, Conn* c) noexcept nogil:
    """The certificate that the client was shown; NULL when that is not known."""
    cdef const Identity* identity = &c.listener.tls.identities[c.identity]
    cdef void* shown = k.tls.SSL_get_certificate(c.client.ssl)
    cdef uint32_t i
    if identity.leaf_count > 1 and k.tls.SSL_session_reused(c.client.ssl):
        return NULL
    for i in range(identity.leaf_count):
        if identity.leaves[i].x509 == shown:
            return &identity.leaves[i]
    return NULL


cdef void _ask_client(Core* k, Conn* c, ProxyFacts* facts, uint8_t** name) noexcept nogil:
    """A certificate that did not verify has ended the handshake, so one that is there did: now, or when the session
    that is being resumed began.
    """
    cdef void* certificate = k.tls.SSL_get_peer_certificate(c.client.ssl)
    if certificate == NULL:
        return
    facts.client |= PP2_CLIENT_CERT_SESS
    if c.authenticated:
        facts.client |= PP2_CLIENT_CERT_CONN
    facts.verify = <uint32_t> k.tls.SSL_get_verify_result(c.client.ssl)
    _ask_common_name(k, certificate, facts, name)
    k.tls.X509_free(certificate)


cdef void _ask_common_name(Core* k, void* certificate, ProxyFacts* facts, uint8_t** name) noexcept nogil:
    """The first of the subject, in UTF-8."""
    cdef void* subject = k.tls.X509_get_subject_name(certificate)
    cdef int at = k.tls.X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
    cdef int length
    if at < 0:
        return
    length = k.tls.ASN1_STRING_to_UTF8(name, k.tls.X509_NAME_ENTRY_get_data(k.tls.X509_NAME_get_entry(subject, at)))
    if length < 0:
        name[0] = NULL
        k.tls.ERR_clear_error()
    elif length <= MOST_TEXT:
        facts.common_name.data = name[0]
        facts.common_name.length = <uint32_t> length
