# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See logline.pxd for the contract.

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport strlen

from .account cimport account_close_counter
from .counters cimport N_CLOSED_HANDSHAKE
from .endpoint cimport Endpoint
from .jsonout cimport (JsonOut, json_bytes, json_escaped, json_hex, json_instant, json_number, json_raw, json_string,
                       json_thousandths)
from .lognames cimport LOG_ALERTS, log_alerts, log_closes, log_faults
from .proxyout cimport Span
from .sys cimport AF_INET6, inet_ntop, ntohs

cdef enum:                     # bytes of the line that a text may take, escapes included
    MOST_LISTENER = 256
    MOST_PATH = 648            # 108 of them, each escaped
    MOST_NAME = 384
    MOST_SUBJECT = 640
    MOST_PROTOCOL = 64
    MOST_SERIAL = 32           # bytes of the number; RFC 5280 section 4.1.2.2 allows 20


cdef void _text(JsonOut* out, const char* key, const char* text) noexcept nogil:
    """A text of ours, or of the library's tables."""
    json_raw(out, key)
    if text == NULL:
        json_bytes(out, b"null", 4)
    else:
        json_string(out, <const uint8_t*> text, strlen(text), MOST_PROTOCOL)


cdef void _span(JsonOut* out, const char* key, const Span* text, uint32_t most) noexcept nogil:
    json_raw(out, key)
    if text.data == NULL:
        json_bytes(out, b"null", 4)
    else:
        json_string(out, text.data, text.length, most)


cdef void _serial(JsonOut* out, const char* key, const Span* serial) noexcept nogil:
    json_raw(out, key)
    if serial.data == NULL:
        json_bytes(out, b"null", 4)
    else:
        json_hex(out, serial.data, min(serial.length, <uint32_t> MOST_SERIAL))


cdef void _duration(JsonOut* out, const char* key, int64_t us) noexcept nogil:
    """In milliseconds."""
    json_raw(out, key)
    if us < 0:
        json_bytes(out, b"null", 4)
    else:
        json_thousandths(out, <uint64_t> us)


cdef void _address(JsonOut* out, const char* key, const Endpoint* end) noexcept nogil:
    """As `place` of the model writes it."""
    cdef char[48] text
    cdef int i
    json_raw(out, key)
    if end.family == 0:
        json_bytes(out, b"null", 4)
        return
    json_bytes(out, b'"', 1)
    if end.family == 4:
        for i in range(4):
            json_number(out, end.address[i])
            if i < 3:
                json_bytes(out, b".", 1)
    elif inet_ntop(AF_INET6, end.address, text, sizeof(text)) != NULL:
        json_bytes(out, b"[", 1)
        json_raw(out, text)
        json_bytes(out, b"]", 1)
    json_bytes(out, b":", 1)
    json_number(out, ntohs(end.port))
    json_bytes(out, b'"', 1)


cdef void _server(JsonOut* out, const LogFacts* facts) noexcept nogil:
    if facts.server_path.data == NULL:
        _address(out, b',"server":', &facts.server)
        return
    json_raw(out, b',"server":"unix:')
    json_escaped(out, facts.server_path.data, facts.server_path.length, MOST_PATH)
    json_bytes(out, b'"', 1)


cdef void _alert(JsonOut* out, const char* key, uint8_t alert) noexcept nogil:
    """By name; one that has none, by number."""
    if alert < LOG_ALERTS and log_alerts[alert] != NULL:
        _text(out, key, log_alerts[alert] if alert else NULL)
        return
    json_raw(out, key)
    json_bytes(out, b'"', 1)
    json_number(out, alert)
    json_bytes(out, b'"', 1)


cdef void _offered(JsonOut* out, const Span* offered) noexcept nogil:
    cdef uint32_t at = 0, length
    json_raw(out, b',"alpn_offered":')
    if offered.length == 0:
        json_bytes(out, b"null", 4)
        return
    json_bytes(out, b"[", 1)
    while at < offered.length:
        length = min(<uint32_t> offered.data[at], offered.length - at - 1)
        if at:
            json_bytes(out, b",", 1)
        json_string(out, offered.data + at + 1, length, 6 * length)
        at += 1 + length
    json_bytes(out, b"]", 1)


cdef void _tls(JsonOut* out, const TlsFacts* tls) noexcept nogil:
    if tls == NULL:
        json_raw(out, b',"tls":null')
        return
    _text(out, b',"tls":{"version":', tls.version)
    _text(out, b',"cipher":', tls.cipher)
    _text(out, b',"group":', tls.group)
    _span(out, b',"server_name":', &tls.server_name, MOST_NAME)
    _offered(out, &tls.offered)
    _span(out, b',"alpn":', &tls.alpn, MOST_PROTOCOL)
    json_raw(out, b',"resumed":')
    json_raw(out, b"null" if tls.version == NULL else b"true" if tls.resumed else b"false")
    _serial(out, b',"certificate_serial":', &tls.serial)
    _span(out, b',"client_subject":', &tls.client_subject, MOST_SUBJECT)
    _serial(out, b',"client_serial":', &tls.client_serial)
    _alert(out, b',"alert_sent":', tls.alert_sent)
    _alert(out, b',"alert_received":', tls.alert_received)
    json_bytes(out, b"}", 1)


cdef uint32_t logline_write(const LogFacts* facts, char* out, uint32_t room) noexcept nogil:
    """How many bytes the line has, its end included; 0 when it does not fit."""
    cdef JsonOut json
    json.at, json.end, json.full = out, out + room, False
    json_raw(&json, b'{"time":')
    json_instant(&json, facts.began_us)
    _span(&json, b',"listener":', &facts.listener, MOST_LISTENER)
    _address(&json, b',"client":', &facts.client)
    _address(&json, b',"peer":', &facts.peer)
    _address(&json, b',"destination":', &facts.destination)
    _server(&json, facts)
    _duration(&json, b',"duration_ms":', facts.duration_us)
    _duration(&json, b',"handshake_ms":', facts.handshake_us)
    _duration(&json, b',"connect_ms":', facts.connect_us)
    json_raw(&json, b',"bytes_up":')
    json_number(&json, facts.bytes_up)
    json_raw(&json, b',"bytes_down":')
    json_number(&json, facts.bytes_down)
    _text(&json, b',"closed":', log_closes[account_close_counter(facts.fault) - <int> N_CLOSED_HANDSHAKE])
    _text(&json, b',"fault":', log_faults[facts.fault])
    _tls(&json, facts.tls)
    json_raw(&json, b',"pid":')
    json_number(&json, facts.pid)
    json_bytes(&json, b"}\n", 2)
    return 0 if json.full else <uint32_t> (json.at - out)
