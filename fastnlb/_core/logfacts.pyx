# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See logfacts.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset, strlen

from .defs cimport Conn, Core
from .logline cimport TlsFacts
from .proxyout cimport Span

cdef enum:                     # tls1.h
    TLSEXT_NAMETYPE_host_name = 0


cdef void logfacts_ask_tls(Core* k, Conn* c, TlsFacts* facts, LogTexts* texts) noexcept nogil:
    """What is pointed to lives until logfacts_release, or the connection's TLS object is freed."""
    cdef void* ssl = c.client.ssl
    cdef const char* name
    memset(facts, 0, sizeof(TlsFacts))
    texts.client = NULL
    facts.offered.data, facts.offered.length = c.trace.offer, c.trace.offer_length
    if ssl == NULL:
        return
    name = k.tls.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
    if name != NULL:
        facts.server_name.data, facts.server_name.length = <const uint8_t*> name, <uint32_t> strlen(name)
    facts.alert_sent, facts.alert_received = c.client.alert_sent, c.client.alert_received
    if c.trace.greeted_us:
        _ask_agreed(k, ssl, facts)
        _ask_client(k, ssl, facts, texts)
    # Asking may have left something there that the next connection would take for its own.
    k.tls.ERR_clear_error()


cdef void logfacts_release(Core* k, LogTexts* texts) noexcept nogil:
    if texts.client != NULL:
        k.tls.X509_free(texts.client)


cdef void _ask_agreed(Core* k, void* ssl, TlsFacts* facts) noexcept nogil:
    cdef void* certificate
    cdef unsigned int length = 0
    facts.version = k.tls.SSL_get_version(ssl)
    facts.cipher = k.tls.SSL_CIPHER_get_name(k.tls.SSL_get_current_cipher(ssl))
    facts.group = k.tls.SSL_get0_group_name(ssl)
    k.tls.SSL_get0_alpn_selected(ssl, &facts.alpn.data, &length)
    facts.alpn.length = length
    facts.resumed = k.tls.SSL_session_reused(ssl) != 0
    if not facts.resumed:
        certificate = k.tls.SSL_get_certificate(ssl)
        if certificate != NULL:
            _ask_serial(k, certificate, &facts.serial)


cdef void _ask_serial(Core* k, void* certificate, Span* serial) noexcept nogil:
    """The number without its sign, which RFC 5280 forbids."""
    cdef void* number = k.tls.X509_get_serialNumber(certificate)
    serial.data = k.tls.ASN1_STRING_get0_data(number)
    serial.length = <uint32_t> k.tls.ASN1_STRING_length(number)


# --- the client's certificate ----------------------------------------------------------------------------------

cdef void _ask_client(Core* k, void* ssl, TlsFacts* facts, LogTexts* texts) noexcept nogil:
    """One that verified, now or when the session that was resumed began."""
    texts.client = k.tls.SSL_get_peer_certificate(ssl)
    if texts.client == NULL:
        return
    _ask_serial(k, texts.client, &facts.client_serial)
    facts.client_subject.data = texts.subject
    facts.client_subject.length = _subject(k, k.tls.X509_get_subject_name(texts.client), texts.subject)


cdef uint32_t _subject(Core* k, const void* name, uint8_t* out) noexcept nogil:
    """As text (RFC 4514), the last attribute first; an attribute that does not fit ends it."""
    cdef int at = k.tls.X509_NAME_entry_count(name)
    cdef uint32_t length = 0, longer
    while at > 0:
        at -= 1
        longer = _attribute(k, k.tls.X509_NAME_get_entry(name, at), out, length)
        if longer == 0:
            break
        length = longer
    return length


cdef uint32_t _attribute(Core* k, const void* entry, uint8_t* out, uint32_t at) noexcept nogil:
    """`CN=value` behind what is there; the new length, or 0 when it does not fit."""
    cdef const char* kind = k.tls.OBJ_nid2sn(k.tls.OBJ_obj2nid(k.tls.X509_NAME_ENTRY_get_object(entry)))
    cdef uint8_t* value = NULL     # owned: the library's
    cdef int length = k.tls.ASN1_STRING_to_UTF8(&value, k.tls.X509_NAME_ENTRY_get_data(entry))
    if length < 0:
        length, value = 0, NULL    # it cannot be read
    at = log_write_attribute(out, at, kind, value, <uint32_t> length)
    if value != NULL:
        k.tls.OPENSSL_free(value)
    return at


cdef uint32_t log_write_attribute(uint8_t* out, uint32_t at, const char* kind, const uint8_t* value,
                                  uint32_t length) noexcept nogil:
    """`kind=value` behind `at` bytes of other attributes in LOG_SUBJECT_BYTES; the new length, or 0: no room."""
    cdef uint32_t named = 0 if kind == NULL else <uint32_t> strlen(kind)
    cdef uint32_t i
    # Every byte may need a backslash.
    if at + named + 2 * length + 2 > LOG_SUBJECT_BYTES:
        return 0
    if at:
        out[at] = c","
        at += 1
    if named:
        memcpy(out + at, kind, named)
    at += named
    out[at] = c"="
    at += 1
    for i in range(length):
        if _is_special(value, i, length):
            out[at] = c"\\"
            at += 1
        out[at] = value[i]
        at += 1
    return at


cdef bint _is_special(const uint8_t* value, uint32_t i, uint32_t length) noexcept nogil:
    """RFC 4514 section 2.4."""
    cdef uint8_t byte = value[i]
    if byte == c" ":
        return i == 0 or i == length - 1
    if byte == c"#":
        return i == 0
    return (byte == c'"' or byte == c"+" or byte == c"," or byte == c";" or byte == c"<" or byte == c">"
            or byte == c"\\")
