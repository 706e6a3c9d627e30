# How strong a certificate in a client's chain must be: what the library's security level 2 would ask, for contexts
# that run at level 0 so that their cipher list is exactly the policy's (docs/decisions/0010-exact-ciphers.md).
#
# Both tables say what is let in; whatever is in neither is weak.

from .tlsapi cimport TlsApi

cdef bint clientcert_is_weak(const TlsApi* api, void* store, bint anchor) noexcept nogil
