# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See clientcert.pxd for the contract.

from .tlsapi cimport TlsApi, x509_algor

cdef enum:                     # obj_mac.h
    NID_RSA = 6
    NID_RSA_PSS = 912
    NID_EC = 408
    NID_MD2_RSA = 7
    NID_MD5_RSA = 8
    NID_SHA1_RSA = 65
    NID_DSA_SHA1_OLD = 70
    NID_DSA_SHA1 = 113
    NID_SHA1_RSA_OLD = 115
    NID_MD4_RSA = 396
    NID_ECDSA_SHA1 = 416

cdef enum:
    RSA_BITS = 2048
    EC_BITS = 224

cdef enum:                     # x509_vfy.h
    X509_V_ERR_CA_KEY_TOO_SMALL = 67
    X509_V_ERR_CA_MD_TOO_WEAK = 68
    X509_V_ERR_EE_KEY_TOO_SMALL = 66


cdef bint clientcert_is_weak(const TlsApi* api, void* store) noexcept nogil:
    """Whether the certificate being verified has a short key or a broken signature digest; sets the store's error."""
    cdef void* certificate = api.X509_STORE_CTX_get_current_cert(store)
    cdef bint leaf = api.X509_STORE_CTX_get_error_depth(store) == 0
    if certificate == NULL:
        return True
    if _key_is_short(api, certificate):
        api.X509_STORE_CTX_set_error(store, X509_V_ERR_EE_KEY_TOO_SMALL if leaf else X509_V_ERR_CA_KEY_TOO_SMALL)
        return True
    if _digest_is_broken(api, certificate) and (leaf or not _is_self_issued(api, certificate)):
        api.X509_STORE_CTX_set_error(store, X509_V_ERR_CA_MD_TOO_WEAK)
        return True
    return False


cdef bint _key_is_short(const TlsApi* api, void* certificate) noexcept nogil:
    cdef void* key = api.X509_get_pubkey(certificate)
    cdef int kind, bits
    if key == NULL:
        return True
    kind = api.EVP_PKEY_id(key)
    bits = api.EVP_PKEY_bits(key)
    api.EVP_PKEY_free(key)
    if kind == NID_RSA or kind == NID_RSA_PSS:
        return bits < RSA_BITS
    elif kind == NID_EC:
        return bits < EC_BITS
    else:
        return False


cdef bint _digest_is_broken(const TlsApi* api, void* certificate) noexcept nogil:
    cdef const x509_algor* algorithm = <const x509_algor*> api.X509_get0_tbs_sigalg(certificate)
    cdef int number = api.OBJ_obj2nid(algorithm.algorithm)
    return (number == NID_MD2_RSA or number == NID_MD4_RSA or number == NID_MD5_RSA or number == NID_SHA1_RSA
            or number == NID_SHA1_RSA_OLD or number == NID_DSA_SHA1 or number == NID_DSA_SHA1_OLD
            or number == NID_ECDSA_SHA1)


cdef bint _is_self_issued(const TlsApi* api, void* certificate) noexcept nogil:
    """A root's own signature proves nothing, so its digest does not matter."""
    return api.X509_NAME_cmp(api.X509_get_subject_name(certificate), api.X509_get_issuer_name(certificate)) == 0
