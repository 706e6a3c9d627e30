# How strong a certificate in a client's chain must be: what the library's security level 2 would ask, for contexts
# that run at level 0 so that their cipher list is exactly the policy's.

from .tlsapi cimport TlsApi

cdef bint clientcert_is_weak(const TlsApi* api, void* store) noexcept nogil
