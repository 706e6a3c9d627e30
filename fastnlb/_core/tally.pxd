# What is counted for a listener besides its connections: handshakes, failures by reason, alerts, times.
#
# Values of labels are found in the generated lists of labels.pxd; what is on none has the number behind the last.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport strcmp

from .clock cimport clock_ns
from .counters cimport (L_CIPHER_FIRST, L_CONNECT_BUCKET_FIRST, L_FAILED_CLIENT_ALERT, L_FAILED_FIRST, L_GROUP_FIRST,
                        L_HANDSHAKE_BUCKET_FIRST, L_HANDSHAKES_TLSV10, L_HANDSHAKES_TLSV13, L_RECEIVED_FIRST,
                        L_SENT_FIRST)
from .defs cimport Conn, Core
from .labels cimport (LABEL_ALERT_COUNT, LABEL_ALERTS, LABEL_BUCKET_COUNT, LABEL_BUCKETS, LABEL_CIPHER_COUNT,
                      LABEL_CIPHERS, LABEL_FAILURE_OTHER, LABEL_GROUP_COUNT, LABEL_GROUPS, LABEL_REASON_COUNT,
                      LABEL_REASONS)

cdef enum:                     # tls1.h, sslerr.h
    TLS1_VERSION = 0x0301
    SSL_AD_REASON_OFFSET = 1000
    LAST_ALERT = 255

cdef inline int _cipher(Core* k, void* ssl) noexcept nogil:
    """Which of LABEL_CIPHERS; the library has one object for each, so that a name is looked at once."""
    cdef void* cipher = k.tls.SSL_get_current_cipher(ssl)
    cdef const char* name
    cdef int i
    for i in range(<int> LABEL_CIPHER_COUNT):
        if k.ciphers[i] == cipher and cipher != NULL:
            return i
    name = k.tls.SSL_CIPHER_get_name(cipher)
    for i in range(<int> LABEL_CIPHER_COUNT):
        if strcmp(name, LABEL_CIPHERS[i]) == 0:
            k.ciphers[i] = cipher
            return i
    return LABEL_CIPHER_COUNT

cdef inline int _group(Core* k, void* ssl) noexcept nogil:
    """Which of LABEL_GROUPS; behind these: none, then another one."""
    cdef const char* name = k.tls.SSL_get0_group_name(ssl)
    cdef int i
    if name == NULL:
        return LABEL_GROUP_COUNT
    for i in range(<int> LABEL_GROUP_COUNT):
        if strcmp(name, LABEL_GROUPS[i]) == 0:
            return i
    return LABEL_GROUP_COUNT + 1

cdef inline void _observe(uint64_t* buckets, uint64_t since_ns) noexcept nogil:
    """Into a histogram: its buckets, the one above all bounds, and the sum."""
    cdef uint64_t took = clock_ns() - since_ns
    cdef int i = 0
    while i < <int> LABEL_BUCKET_COUNT and took > LABEL_BUCKETS[i]:
        i += 1
    buckets[i] += 1
    buckets[<int> LABEL_BUCKET_COUNT + 1] += took

cdef inline void tally_handshake(Core* k, Conn* c) noexcept nogil:
    """One is complete."""
    cdef uint64_t* numbers = c.listener.numbers
    cdef int version = k.tls.SSL_version(c.client.ssl) - <int> TLS1_VERSION
    version = L_HANDSHAKES_TLSV10 + 2 * max(version, 0) + (k.tls.SSL_session_reused(c.client.ssl) != 0)
    numbers[min(version, <int> L_HANDSHAKES_TLSV13 + 1)] += 1
    numbers[<int> L_CIPHER_FIRST + _cipher(k, c.client.ssl)] += 1
    numbers[<int> L_GROUP_FIRST + _group(k, c.client.ssl)] += 1
    _observe(&numbers[<int> L_HANDSHAKE_BUCKET_FIRST], c.begun_ns)

cdef inline void tally_connect(Conn* c) noexcept nogil:
    """A server has accepted."""
    _observe(&c.listener.numbers[<int> L_CONNECT_BUCKET_FIRST], c.begun_ns)

cdef inline bint _is_alert(uint32_t reason) noexcept nogil:
    """Whether the library gave up because of an alert of its peer."""
    return <int> SSL_AD_REASON_OFFSET <= <int> reason <= <int> SSL_AD_REASON_OFFSET + LAST_ALERT

cdef inline void tally_failure(Conn* c) noexcept nogil:
    """The library has ended a handshake, for client.reason."""
    cdef int i, place = LABEL_FAILURE_OTHER
    if _is_alert(c.client.reason):
        c.listener.numbers[<int> L_FAILED_CLIENT_ALERT] += 1
        return
    for i in range(<int> LABEL_REASON_COUNT):
        if LABEL_REASONS[i][0] == c.client.reason:
            place = LABEL_REASONS[i][1]
    c.listener.numbers[<int> L_FAILED_FIRST + place] += 1

cdef inline void tally_alert(Conn* c, bint sent, int alert) noexcept nogil:
    cdef int i = 0
    while i < <int> LABEL_ALERT_COUNT and LABEL_ALERTS[i] != alert:
        i += 1
    c.listener.numbers[(<int> L_SENT_FIRST if sent else <int> L_RECEIVED_FIRST) + i] += 1

cdef inline void tally_alert_later(Conn* c) noexcept nogil:
    """An error of TLS has ended the connection after its handshake: when it was an alert of the client, which one."""
    if _is_alert(c.client.reason):
        tally_alert(c, False, <int> c.client.reason - <int> SSL_AD_REASON_OFFSET)
