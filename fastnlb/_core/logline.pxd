# A line of the access log: pure, from facts to bytes.
#
# Every field is always there, null where there is nothing to say; `tls` is null on plain listeners.  Texts from
# outside are bounded, so that a line never exceeds LOG_LINE_BYTES whatever a client says; docs/operations.md has the
# fields.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from .endpoint cimport Endpoint
from .proxyout cimport Span

cdef struct TlsFacts:
    const char* version        # borrowed, like all texts here; NULL: the handshake was not completed
    const char* cipher
    const char* group          # NULL: none, or not known
    Span server_name
    Span offered               # ALPN, in wire form
    Span alpn
    uint8_t resumed
    uint8_t alert_sent         # 0: none
    uint8_t alert_received
    Span serial                # of the certificate that the client was shown
    Span client_subject
    Span client_serial

cdef struct LogFacts:
    int64_t began_us           # Unix time
    int64_t duration_us
    int64_t handshake_us       # -1: there was none, or it is not known
    int64_t connect_us         # likewise
    uint32_t pid
    Span listener
    Endpoint client            # family 0: not known
    Endpoint peer              # family 0: it is the client
    Endpoint destination
    Endpoint server            # family 0 and no path: none
    Span server_path
    uint64_t bytes_up
    uint64_t bytes_down
    int fault                  # Fault
    const TlsFacts* tls        # borrowed; NULL: a plain listener

cdef uint32_t logline_write(const LogFacts* facts, char* out, uint32_t room) noexcept nogil
