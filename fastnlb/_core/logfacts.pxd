# What the TLS library knows of a connection that has ended, for its line in the access log.

from libc.stdint cimport uint8_t, uint32_t

from .defs cimport Conn, Core
from .logline cimport TlsFacts

cdef enum:
    LOG_SUBJECT_BYTES = 512

cdef struct LogTexts:          # what the texts of a TlsFacts are in, besides the connection's own memory
    uint8_t[LOG_SUBJECT_BYTES] subject
    void* client           # owned: the client's X509*; NULL = it has shown none

cdef void logfacts_ask_tls(Core* k, Conn* c, TlsFacts* facts, LogTexts* texts) noexcept nogil
cdef void logfacts_release(Core* k, LogTexts* texts) noexcept nogil
cdef uint32_t log_write_attribute(uint8_t* out, uint32_t at, const char* kind, const uint8_t* value,
                                  uint32_t length) noexcept nogil
