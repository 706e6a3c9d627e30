# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Python handles on the access log's ring, its writer and its line, for tests only.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from .account cimport account_close_counter
from .defs cimport FAULTS
from .endpoint cimport Endpoint
from .jsonout cimport JsonOut, json_instant, json_string
from .logfacts cimport LOG_SUBJECT_BYTES, log_write_attribute
from .logline cimport LogFacts, TlsFacts, logline_write
from .logring cimport (LOG_LINE_BYTES, LogRing, logring_clear, logring_held, logring_init, logring_put, logring_room,
                       logring_take)
from .logwriter cimport (LogWriter, logwriter_drop, logwriter_end, logwriter_new, logwriter_send_to, logwriter_turn)
from .lognames cimport LOG_ALERTS, log_alerts, log_faults
from .proxyout cimport Span

from fastnlb.stats.table import NUMBERS

LINE_MOST, SUBJECT_MOST = LOG_LINE_BYTES, LOG_SUBJECT_BYTES
FAULT_NAMES = [None if log_faults[fault] == NULL else log_faults[fault] for fault in range(<int> FAULTS)]
ALERT_NAMES = {alert: log_alerts[alert].decode() for alert in range(LOG_ALERTS) if log_alerts[alert] != NULL}
CLOSES = [NUMBERS[account_close_counter(fault)].name for fault in range(<int> FAULTS)]


cdef class RingProbe:
    """A ring of `size` bytes."""

    cdef LogRing ring

    def __cinit__(self, uint64_t size):
        if not logring_init(&self.ring, size):
            raise MemoryError()

    def __dealloc__(self):
        logring_clear(&self.ring)

    def put(self, bytes line):
        """Whether there was room."""
        cdef char* room = logring_room(&self.ring)
        if room == NULL:
            return False
        # All that a line may touch is written to, so that a sanitizer sees where that is.
        memset(room, 0xA5, LOG_LINE_BYTES)
        memcpy(room, <const char*> line, len(line))
        logring_put(&self.ring, len(line))
        return True

    def take(self, uint64_t room):
        cdef char* out = <char*> malloc(room)
        length = logring_take(&self.ring, out, room)
        taken = out[:length]
        free(out)
        return taken

    @property
    def held(self):
        return logring_held(&self.ring)


cdef class WriterProbe:
    """A writer with a ring of `size` bytes, and its two numbers; this thread is its event loop."""

    cdef LogWriter* w
    cdef uint64_t* numbers     # owned; left behind with a thread that hangs

    def __cinit__(self, uint64_t size=1 << 20):
        self.numbers = <uint64_t*> calloc(2, sizeof(uint64_t))
        self.w = logwriter_new(&self.numbers[0], &self.numbers[1], size)
        if self.w == NULL:
            raise MemoryError()

    def send_to(self, int descriptor):
        logwriter_send_to(self.w, descriptor)

    def put(self, bytes line):
        cdef char* room = logring_room(&self.w.ring)
        if room == NULL:
            logwriter_drop(self.w)
            return False
        memcpy(room, <const char*> line, len(line))
        logring_put(&self.w.ring, len(line))
        return True

    def turn(self):
        logwriter_turn(self.w)

    def end(self):
        """Ends the thread: what it had is written or dropped."""
        logwriter_end(self.w)
        self.w = NULL

    @property
    def lines(self):
        return self.numbers[0]

    @property
    def dropped(self):
        return self.numbers[1]

    @property
    def error(self):
        return self.w.error


def json_text(bytes data, size_t most=100_000):
    """The string that is written for these bytes."""
    cdef JsonOut out
    cdef char* room = <char*> malloc(most + 2)
    cdef uint8_t* copy = <uint8_t*> malloc(len(data) or 1)
    memcpy(copy, <const char*> data, len(data))
    out.at, out.end, out.full = room, room + most + 2, False
    json_string(&out, copy, len(data), most)
    text = room[:out.at - room]
    free(room)
    free(copy)
    if out.full:
        raise AssertionError("a string that is cut fits")
    return text


def instant(int64_t unix_us):
    cdef JsonOut out
    cdef char[64] room
    out.at, out.end, out.full = room, <char*> room + sizeof(room), False
    json_instant(&out, unix_us)
    return (<char*> room)[:out.at - <char*> room]


def attribute(bytes before, bytes kind, bytes value):
    """A subject's text with this attribute behind it; None: it does not fit."""
    cdef uint8_t* out = <uint8_t*> malloc(LOG_SUBJECT_BYTES)
    memcpy(out, <const char*> before, len(before))
    length = log_write_attribute(out, <uint32_t> len(before), <const char*> kind,
                                 <const uint8_t*> <const char*> value, <uint32_t> len(value))
    text = (<char*> out)[:length] if length else None
    free(out)
    return text


cdef _span(Span* span, value):
    if value is not None:
        span.data = <const uint8_t*> <const char*> value
        span.length = <uint32_t> len(value)


cdef _endpoint(Endpoint* end, value):
    if value is not None:
        address, port = value
        end.family = 4 if len(address) == 4 else 6
        memcpy(end.address, <const char*> <bytes> address, len(address))
        (<uint8_t*> &end.port)[0], (<uint8_t*> &end.port)[1] = divmod(port, 256)


def log_line(tls=None, room=LINE_MOST, **given):
    """The line for facts named as in LogFacts, and TlsFacts in `tls`; None: no room.  Addresses are (bytes, port)."""
    cdef LogFacts facts
    cdef TlsFacts of_tls
    cdef char* out = <char*> malloc(room)
    memset(&facts, 0, sizeof(facts))
    memset(&of_tls, 0, sizeof(of_tls))
    facts.began_us, facts.duration_us = given.get("began_us", 0), given.get("duration_us", 0)
    facts.handshake_us, facts.connect_us = given.get("handshake_us", -1), given.get("connect_us", -1)
    facts.pid, facts.fault = given.get("pid", 0), given.get("fault", 0)
    facts.bytes_up, facts.bytes_down = given.get("bytes_up", 0), given.get("bytes_down", 0)
    _span(&facts.listener, given.get("listener", b""))
    _span(&facts.server_path, given.get("server_path"))
    _endpoint(&facts.client, given.get("client"))
    _endpoint(&facts.peer, given.get("peer"))
    _endpoint(&facts.destination, given.get("destination"))
    _endpoint(&facts.server, given.get("server"))
    if tls is not None:
        facts.tls = &of_tls
        if "version" in tls:
            of_tls.version, of_tls.cipher, of_tls.group = tls["version"], tls["cipher"], tls["group"]
        of_tls.resumed = tls.get("resumed", False)
        of_tls.alert_sent, of_tls.alert_received = tls.get("alert_sent", 0), tls.get("alert_received", 0)
        _span(&of_tls.server_name, tls.get("server_name"))
        _span(&of_tls.offered, tls.get("offered"))
        _span(&of_tls.alpn, tls.get("alpn"))
        _span(&of_tls.serial, tls.get("serial"))
        _span(&of_tls.client_subject, tls.get("client_subject"))
        _span(&of_tls.client_serial, tls.get("client_serial"))
    length = logline_write(&facts, out, room)
    line = out[:length] if length else None
    free(out)
    return line
