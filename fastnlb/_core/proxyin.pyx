# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See proxyin.pxd for the contract.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from .crc32c cimport CRC32C_START, crc32c_add, crc32c_end
from .endpoint cimport Endpoint
from .proxywire cimport (PP2_CRC32C, PP2_LOCAL, PP2_PREFIX_BYTES, PP2_PROXY, PP2_SIGNATURE_BYTES, PP2_SSL, PP2_TCP4,
                         PP2_TCP6, PP2_TLV_BYTES, PP2_UNIQUE_ID, PP2_UNIX, PP2_UNIX_BYTES, PP2_UNSPEC, PP2_V4_BYTES,
                         PP2_V6_BYTES)
from .sys cimport AF_INET, AF_INET6, htons, inet_pton

cdef enum:
    V1_BYTES = 107             # the longest line, its end included
    V1_BEGIN_BYTES = 6         # "PROXY "
    MOST_ADDRESS = 45          # an IPv6 address in full with IPv4 at its end
    MOST_UNIQUE_ID = 128
    SSL_FIXED_BYTES = 5        # client bits and verify, before what is inside


cdef int32_t proxyin_parse(const uint8_t* data, uint32_t length, ProxyHeader* header) noexcept nogil:
    """How many bytes the header has, PROXY_IN_MORE or PROXY_IN_MALFORMED."""
    memset(header, 0, sizeof(ProxyHeader))
    if length == 0:
        return PROXY_IN_MORE
    if data[0] == c"P":
        return _parse_v1(data, length, header)
    return _parse_v2(data, length, header)


# --- version 2 -------------------------------------------------------------------------------------------------

cdef int32_t _parse_v2(const uint8_t* data, uint32_t length, ProxyHeader* header) noexcept nogil:
    cdef uint32_t size
    if memcmp(data, b"\r\n\r\n\x00\r\nQUIT\n", min(length, <uint32_t> PP2_SIGNATURE_BYTES)) != 0:
        return PROXY_IN_MALFORMED
    if length > PP2_SIGNATURE_BYTES and data[12] != PP2_LOCAL and data[12] != PP2_PROXY:
        return PROXY_IN_MALFORMED
    if length < PP2_PREFIX_BYTES:
        return PROXY_IN_MORE
    size = PP2_PREFIX_BYTES + _number(data + 14)
    if size > PROXY_IN_BYTES:
        return PROXY_IN_MALFORMED
    if length < size:
        return PROXY_IN_MORE
    if data[12] == PP2_LOCAL:
        # "The receiver must ignore the protocol block, including the family": only its length counts.
        return <int32_t> size
    return <int32_t> size if _read_block(data, size, header) else PROXY_IN_MALFORMED


cdef uint32_t _number(const uint8_t* at) noexcept nogil:
    return <uint32_t> at[0] << 8 | at[1]


cdef bint _read_block(const uint8_t* data, uint32_t size, ProxyHeader* header) noexcept nogil:
    """Addresses and TLVs of a whole header."""
    cdef const uint8_t* block = data + PP2_PREFIX_BYTES
    cdef uint32_t length = size - PP2_PREFIX_BYTES
    cdef uint32_t addresses
    if data[13] == PP2_UNSPEC:
        return True
    if data[13] == PP2_TCP4:
        addresses = PP2_V4_BYTES
    elif data[13] == PP2_TCP6:
        addresses = PP2_V6_BYTES
    elif data[13] == PP2_UNIX:
        addresses = PP2_UNIX_BYTES
    else:
        return False
    if length < addresses:
        return False
    if data[13] == PP2_TCP4:
        _take_addresses(block, 4, header)
    elif data[13] == PP2_TCP6:
        _take_addresses(block, 16, header)
    return _check_tlvs(data, size, PP2_PREFIX_BYTES + addresses)


cdef void _take_addresses(const uint8_t* block, uint32_t bytes, ProxyHeader* header) noexcept nogil:
    header.source.family = header.target.family = 4 if bytes == 4 else 6
    memcpy(header.source.address, block, bytes)
    memcpy(header.target.address, block + bytes, bytes)
    memcpy(&header.source.port, block + 2 * bytes, 2)
    memcpy(&header.target.port, block + 2 * bytes + 2, 2)


cdef bint _check_tlvs(const uint8_t* data, uint32_t size, uint32_t at) noexcept nogil:
    cdef uint32_t length
    cdef bint summed = False
    while at < size:
        if size - at < PP2_TLV_BYTES:
            return False
        length = _number(data + at + 1)
        if length > size - at - PP2_TLV_BYTES:
            return False
        if data[at] == PP2_CRC32C:
            # A second one could not be right: each is counted with its own four bytes zero and the other's not.
            if summed or length != 4 or not _sum_is_right(data, size, at + PP2_TLV_BYTES):
                return False
            summed = True
        elif data[at] == PP2_UNIQUE_ID and length > MOST_UNIQUE_ID:
            return False
        elif data[at] == PP2_SSL and not _ssl_is_whole(data + at + PP2_TLV_BYTES, length):
            return False
        at += PP2_TLV_BYTES + length
    return True


cdef bint _sum_is_right(const uint8_t* data, uint32_t size, uint32_t at) noexcept nogil:
    """The four bytes at `at` are counted as zero."""
    cdef uint32_t crc = crc32c_add(CRC32C_START, data, at)
    crc = crc32c_add(crc, b"\x00\x00\x00\x00", 4)
    crc = crc32c_end(crc32c_add(crc, data + at + 4, size - at - 4))
    return crc == (_number(data + at) << 16 | _number(data + at + 2))


cdef bint _ssl_is_whole(const uint8_t* value, uint32_t length) noexcept nogil:
    """What is inside ends where the TLV ends."""
    cdef uint32_t at = SSL_FIXED_BYTES
    if length < SSL_FIXED_BYTES:
        return False
    while at < length:
        if length - at < PP2_TLV_BYTES:
            return False
        at += PP2_TLV_BYTES + _number(value + at + 1)
    return at == length


# --- version 1 -------------------------------------------------------------------------------------------------

cdef int32_t _parse_v1(const uint8_t* data, uint32_t length, ProxyHeader* header) noexcept nogil:
    cdef uint32_t end
    if memcmp(data, b"PROXY ", min(length, <uint32_t> V1_BEGIN_BYTES)) != 0:
        return PROXY_IN_MALFORMED
    end = _line_end(data, min(length, <uint32_t> V1_BYTES))
    if end == 0:
        return PROXY_IN_MORE if length < V1_BYTES else PROXY_IN_MALFORMED
    if not _read_line(data + V1_BEGIN_BYTES, end - V1_BEGIN_BYTES - 2, header):
        return PROXY_IN_MALFORMED
    return <int32_t> end


cdef uint32_t _line_end(const uint8_t* data, uint32_t length) noexcept nogil:
    """One past the first CR LF; 0 when there is none."""
    cdef uint32_t i
    for i in range(1, length):
        if data[i - 1] == c"\r" and data[i] == c"\n":
            return i + 1
    return 0


cdef bint _read_line(const uint8_t* line, uint32_t length, ProxyHeader* header) noexcept nogil:
    """What stands between "PROXY " and the end of the line."""
    cdef int family
    if length >= 7 and memcmp(line, b"UNKNOWN", 7) == 0:
        # "The receiver must ignore anything presented before the CRLF."
        return length == 7 or line[7] == c" "
    if length < 5 or memcmp(line, b"TCP", 3) != 0 or line[4] != c" ":
        return False
    family = line[3] - c"0"
    if family != 4 and family != 6:
        return False
    return _read_addresses(line + 5, length - 5, family, header)


cdef bint _read_addresses(const uint8_t* text, uint32_t length, int family, ProxyHeader* header) noexcept nogil:
    """Two addresses and two ports with one space between each; nothing else."""
    cdef const uint8_t* end = text + length
    cdef ProxyHeader said
    memset(&said, 0, sizeof(said))
    if not _read_address(&text, end, family, &said.source) or not _read_address(&text, end, family, &said.target):
        return False
    if not _read_port(&text, end, &said.source.port) or not _skip_space(&text, end):
        return False
    if not _read_port(&text, end, &said.target.port) or text != end:
        return False
    header[0] = said
    return True


cdef bint _skip_space(const uint8_t** text, const uint8_t* end) noexcept nogil:
    if text[0] == end or text[0][0] != c" ":
        return False
    text[0] += 1
    return True


cdef bint _read_address(const uint8_t** text, const uint8_t* end, int family, Endpoint* out) noexcept nogil:
    """An address and the space after it."""
    cdef char[MOST_ADDRESS + 1] token
    cdef uint32_t length = 0
    while text[0] < end and _is_of_address(text[0][0]):
        if length == MOST_ADDRESS:
            return False
        token[length] = <char> text[0][0]
        length += 1
        text[0] += 1
    token[length] = 0
    out.family = <uint8_t> family
    return inet_pton(AF_INET if family == 4 else AF_INET6, token, out.address) == 1 and _skip_space(text, end)


cdef bint _is_of_address(uint8_t byte) noexcept nogil:
    return c"0" <= byte <= c"9" or c"a" <= byte <= c"f" or c"A" <= byte <= c"F" or byte == c"." or byte == c":"


cdef bint _read_port(const uint8_t** text, const uint8_t* end, uint16_t* port) noexcept nogil:
    """0 to 65535 without a sign or a zero in front."""
    cdef uint32_t value = 0
    cdef int digits = 0
    while text[0] < end and c"0" <= text[0][0] <= c"9" and digits < 5:
        if digits and value == 0:
            return False
        value = 10 * value + (text[0][0] - c"0")
        digits += 1
        text[0] += 1
    port[0] = htons(<unsigned short> value)
    return digits > 0 and value <= 65535
