# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See clientcert.pxd for the contract.

from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from .tlsapi cimport TlsApi

cdef enum:                     # obj_mac.h
    NID_RSA = 6
    NID_EC = 408
    NID_SHA256_RSA = 668
    NID_SHA384_RSA = 669
    NID_SHA512_RSA = 670
    NID_SHA224_RSA = 671
    NID_ECDSA_SHA224 = 793
    NID_ECDSA_SHA256 = 794
    NID_ECDSA_SHA384 = 795
    NID_ECDSA_SHA512 = 796
    NID_RSA_PSS = 912
    NID_ED25519 = 1087
    NID_ED448 = 1088

cdef enum:
    RSA_BITS = 2048
    EC_BITS = 224
    SHA2_OID_BYTES = 10
    SHA2_FIRST = 1             # the last arc of SHA-256 ... SHA-224 is 1 to 4
    SHA2_LAST = 4

cdef enum:                     # x509_vfy.h
    X509_V_ERR_EE_KEY_TOO_SMALL = 66
    X509_V_ERR_CA_KEY_TOO_SMALL = 67
    X509_V_ERR_CA_MD_TOO_WEAK = 68


cdef bint clientcert_is_weak(const TlsApi* api, void* store, bint anchor) noexcept nogil:
    """Whether the certificate being verified has a weak key or signature; sets the store's error.

    `anchor`: it is one of our own authorities, and nothing relies on its signature.
    """
    cdef void* certificate = api.X509_STORE_CTX_get_current_cert(store)
    cdef bint leaf = api.X509_STORE_CTX_get_error_depth(store) == 0
    if certificate == NULL:
        return True
    if not _key_is_strong(api, certificate):
        api.X509_STORE_CTX_set_error(store, X509_V_ERR_EE_KEY_TOO_SMALL if leaf else X509_V_ERR_CA_KEY_TOO_SMALL)
        return True
    if not anchor and not _signature_is_strong(api, certificate):
        api.X509_STORE_CTX_set_error(store, X509_V_ERR_CA_MD_TOO_WEAK)
        return True
    return False


cdef bint _key_is_strong(const TlsApi* api, void* certificate) noexcept nogil:
    cdef void* key = api.X509_get_pubkey(certificate)
    cdef int kind, bits
    if key == NULL:
        return False
    kind = api.EVP_PKEY_id(key)
    bits = api.EVP_PKEY_bits(key)
    api.EVP_PKEY_free(key)
    if kind == NID_RSA or kind == NID_RSA_PSS:
        return bits >= RSA_BITS
    elif kind == NID_EC:
        return bits >= EC_BITS
    else:
        return kind == NID_ED25519 or kind == NID_ED448


cdef bint _signature_is_strong(const TlsApi* api, void* certificate) noexcept nogil:
    cdef const void* name = NULL
    cdef const void* parameters = NULL
    cdef int kind = 0, number
    api.X509_ALGOR_get0(&name, &kind, &parameters, api.X509_get0_tbs_sigalg(certificate))
    number = api.OBJ_obj2nid(name)
    if number == NID_RSA_PSS:
        return parameters != NULL and _names_sha2(api.ASN1_STRING_get0_data(parameters),
                                                  api.ASN1_STRING_length(parameters))
    return (NID_SHA256_RSA <= number <= NID_SHA224_RSA or NID_ECDSA_SHA224 <= number <= NID_ECDSA_SHA512
            or number == NID_ED25519 or number == NID_ED448)


cdef bint _names_sha2(const uint8_t* der, int length) noexcept nogil:
    """RSASSA-PSS-params (RFC 4055 section 3.1) in DER: the digest comes first, and is SHA-1 when it is left out."""
    cdef const uint8_t* oid = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
    # SEQUENCE, [0], SEQUENCE, each with a length below 128, and then the name of the digest.
    if length < 6 + SHA2_OID_BYTES + 1 or der[0] != 0x30 or der[2] != 0xA0 or der[4] != 0x30:
        return False
    return memcmp(&der[6], oid, SHA2_OID_BYTES) == 0 and SHA2_FIRST <= der[6 + SHA2_OID_BYTES] <= SHA2_LAST
