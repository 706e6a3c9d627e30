# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# Python handles on the PROXY protocol header as bytes, written and parsed, for tests only.

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from .crc32c cimport CRC32C_START, crc32c_add, crc32c_end
from .endpoint cimport Endpoint
from .proxyin cimport PROXY_IN_BYTES, PROXY_IN_MALFORMED, PROXY_IN_MORE, ProxyHeader, proxyin_parse
from .proxyout cimport ProxyFacts, Span, proxyout_write


def crc32c(*pieces):
    cdef uint32_t crc = CRC32C_START
    for piece in pieces:
        crc = crc32c_add(crc, <const uint8_t*> <const char*> piece, len(piece))
    return crc32c_end(crc)


cdef _endpoint(Endpoint* end, bytes address, int port):
    end.family = 4 if len(address) == 4 else 6
    memcpy(end.address, <const char*> address, len(address))
    (<uint8_t*> &end.port)[0], (<uint8_t*> &end.port)[1] = divmod(port, 256)


cdef _span(Span* span, bytes value):
    span.data = <const uint8_t*> <const char*> value
    span.length = len(value)


def proxy_header(source, target, flags=0, room=2048, client=0, verify=0, **spans):
    """The header that is written for (address bytes, port) and the texts named as in ProxyFacts; None: no room.

    What lies behind `room` is checked not to be touched.
    """
    cdef ProxyFacts facts
    cdef uint8_t[4096] out
    memset(&facts, 0, sizeof(facts))
    memset(out, 0xA5, sizeof(out))
    _endpoint(&facts.source, source[0], source[1])
    _endpoint(&facts.target, target[0], target[1])
    facts.flags, facts.client, facts.verify = flags, client, verify
    _span(&facts.ids, spans.pop("ids", b""))
    _span(&facts.alpn, spans.pop("alpn", b""))
    _span(&facts.authority, spans.pop("authority", b""))
    _span(&facts.version, spans.pop("version", b""))
    _span(&facts.common_name, spans.pop("common_name", b""))
    _span(&facts.key_alg, spans.pop("key_alg", b""))
    _span(&facts.sig_alg, spans.pop("sig_alg", b""))
    _span(&facts.cipher, spans.pop("cipher", b""))
    if spans:
        raise TypeError(spans)
    length = proxyout_write(&facts, out, room)
    if set((<char*> out)[room:4096]) - {0xA5}:
        raise AssertionError("written behind the end")
    return (<char*> out)[:length] if length else None


PROXY_IN_MOST = PROXY_IN_BYTES


cdef _said(Endpoint* end):
    if end.family == 0:
        return None
    port = (<uint8_t*> &end.port)[0] << 8 | (<uint8_t*> &end.port)[1]
    return (<char*> end.address)[:4 if end.family == 4 else 16], port


def parse_proxy_header(bytes data):
    """"more", "malformed", or (length, source, target) with None for an address that is not said.

    The bytes are parsed where they end at the end of an allocation, so that a sanitizer sees a read behind them.
    """
    cdef ProxyHeader header
    cdef uint8_t* copy = <uint8_t*> malloc(len(data) or 1)
    memcpy(copy, <const char*> data, len(data))
    size = proxyin_parse(copy, <uint32_t> len(data), &header)
    free(copy)
    if size == <int> PROXY_IN_MORE:
        return "more"
    if size == <int> PROXY_IN_MALFORMED:
        return "malformed"
    return size, _said(&header.source), _said(&header.target)
