# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See tlslistener.pxd for the contract.

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from .defs cimport ALPN_BYTES, SESSION_ID_BYTES, Identity, Leaf, Staple, TlsListener
from .hello cimport hello_install_front, hello_install_inner
from .names cimport names_add, names_free, names_init
from .tlsapi cimport TlsApi


cdef TlsListener* tls_listener_build(const TlsApi* api, tuple fields) except NULL:
    """fields: (SSL_CTX address of the front, 32 bytes of session id, ms that it holds or 0, verify mode, SSL_OP_* of
    each SSL, strict_sni, ALPN protocols in wire form, alpn_strict, identities, names), with identities a list of
    (SSL_CTX address, staples, leaves), staples a list of (X509 address, DER bytes, Unix seconds of its end), leaves a
    list of (X509 address, key algorithm, signature algorithm), and names a list of (lower-case name as bytes, index
    into identities).

    Raises ValueError when the protocols are too long, there is no identity, or a name or its index is out of range;
    MemoryError.
    """
    cdef TlsListener* tls = <TlsListener*> calloc(1, sizeof(TlsListener))
    if tls == NULL:
        raise MemoryError()
    try:
        front, session_id, tls.session_ms, tls.verify_mode, tls.options, *rest = fields
        tls.strict_sni, alpn, tls.alpn_strict, identities, names = rest
        tls.front = <void*> <size_t> front
        _take_session_id(tls, session_id)
        _take_protocols(tls, alpn)
        _build_identities(api, tls, identities)
        _build_names(tls, names)
        hello_install_front(api, tls.front)
    except BaseException:
        tls_listener_free(tls)
        raise
    return tls


cdef int _take_session_id(TlsListener* tls, bytes session_id) except -1:
    if len(session_id) != SESSION_ID_BYTES:
        raise ValueError(f"the session id has {len(session_id)} bytes, not {<int> SESSION_ID_BYTES}")
    memcpy(tls.session_id, <const char*> session_id, SESSION_ID_BYTES)
    return 0


cdef int _take_protocols(TlsListener* tls, bytes alpn) except -1:
    if len(alpn) > ALPN_BYTES:
        raise ValueError(f"the ALPN protocols take {len(alpn)} bytes of {<int> ALPN_BYTES}")
    memcpy(tls.alpn, <const char*> alpn, len(alpn))
    tls.alpn_length = <uint8_t> len(alpn)
    return 0


cdef int _build_identities(const TlsApi* api, TlsListener* tls, list identities) except -1:
    cdef Identity* identity
    if not identities:
        raise ValueError("a TLS listener has no certificate")
    tls.identities = <Identity*> calloc(len(identities), sizeof(Identity))
    if tls.identities == NULL:
        raise MemoryError()
    for context, staples, leaves in identities:
        identity = &tls.identities[tls.identity_count]
        identity.context = <void*> <size_t> context
        tls.identity_count += 1
        if staples:
            _build_staples(identity, staples)
        if leaves:
            _build_leaves(identity, leaves)
        hello_install_inner(api, identity.context)
    return 0


cdef int _build_staples(Identity* identity, list staples) except -1:
    cdef Staple* staple
    identity.staples = <Staple*> calloc(len(staples), sizeof(Staple))
    if identity.staples == NULL:
        raise MemoryError()
    for leaf, der, until in staples:
        staple = &identity.staples[identity.staple_count]
        staple.der = <uint8_t*> malloc(len(der))
        if staple.der == NULL:
            raise MemoryError()
        identity.staple_count += 1
        memcpy(staple.der, <const char*> der, len(der))
        staple.length = <uint32_t> len(der)
        staple.leaf = <void*> <size_t> leaf
        staple.until = until
    return 0


cdef int _build_leaves(Identity* identity, list leaves) except -1:
    cdef Leaf* leaf
    identity.leaves = <Leaf*> calloc(len(leaves), sizeof(Leaf))
    if identity.leaves == NULL:
        raise MemoryError()
    for x509, key_alg, sig_alg in leaves:
        leaf = &identity.leaves[identity.leaf_count]
        leaf.x509 = <void*> <size_t> x509
        # The last byte stays zero.
        if len(key_alg) >= <Py_ssize_t> sizeof(leaf.key_alg) or len(sig_alg) >= <Py_ssize_t> sizeof(leaf.sig_alg):
            raise ValueError(f"{key_alg!r} or {sig_alg!r} is too long a name of an algorithm")
        memcpy(leaf.key_alg, <const char*> key_alg, len(key_alg))
        memcpy(leaf.sig_alg, <const char*> sig_alg, len(sig_alg))
        identity.leaf_count += 1
    return 0


cdef int _build_names(TlsListener* tls, list names) except -1:
    if not names_init(&tls.names, <uint32_t> len(names)):
        raise MemoryError()
    for name, number in names:
        if not 0 <= number < tls.identity_count:
            raise ValueError(f"{name!r} names certificate {number} of {tls.identity_count}")
        if not names_add(&tls.names, <const char*> name, len(name), number):
            raise ValueError(f"{name!r} cannot be a host name")
    return 0


cdef void tls_listener_free(TlsListener* tls) noexcept nogil:
    cdef uint32_t i, j
    if tls == NULL:
        return
    for i in range(tls.identity_count):
        for j in range(tls.identities[i].staple_count):
            free(tls.identities[i].staples[j].der)
        free(tls.identities[i].staples)
        free(tls.identities[i].leaves)
    free(tls.identities)
    names_free(&tls.names)
    free(tls)
