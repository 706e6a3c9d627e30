# JSON (RFC 8259) written to a buffer: numbers, strings of any bytes, instants.
#
# What comes out is valid UTF-8 and one line, whatever goes in: control characters are escaped, and so are bytes that
# are no UTF-8, as the character of that number.  What does not fit makes the buffer `full`, and then it is no use.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen

cdef struct JsonOut:
    char* at               # borrowed: where the next byte goes
    char* end
    bint full

cdef inline void json_bytes(JsonOut* out, const char* data, size_t length) noexcept nogil:
    """As they are."""
    if length > <size_t> (out.end - out.at):
        out.full = True
        return
    memcpy(out.at, data, length)
    out.at += length

cdef inline void json_raw(JsonOut* out, const char* text) noexcept nogil:
    json_bytes(out, text, strlen(text))

cdef inline void json_digits(JsonOut* out, uint64_t value, int least) noexcept nogil:
    """With zeros in front up to `least` digits."""
    cdef char[20] digits
    cdef int at = 20
    while value or at > 20 - least:
        at -= 1
        digits[at] = <char> (c"0" + value % 10)
        value //= 10
    json_bytes(out, &digits[at], 20 - at)

cdef inline void json_number(JsonOut* out, uint64_t value) noexcept nogil:
    json_digits(out, value, 1)

cdef inline void json_thousandths(JsonOut* out, uint64_t value) noexcept nogil:
    """A number with three decimals."""
    json_digits(out, value // 1000, 1)
    json_bytes(out, b".", 1)
    json_digits(out, value % 1000, 3)

cdef inline void json_hex(JsonOut* out, const uint8_t* data, size_t length) noexcept nogil:
    """Two upper-case digits for each byte, in quotes."""
    cdef const char* digits = b"0123456789ABCDEF"
    cdef size_t i
    json_bytes(out, b'"', 1)
    for i in range(length):
        json_bytes(out, &digits[data[i] >> 4], 1)
        json_bytes(out, &digits[data[i] & 15], 1)
    json_bytes(out, b'"', 1)

cdef inline uint32_t _utf8(const uint8_t* data, size_t left, uint32_t* width) noexcept nogil:
    """The character that begins there and its bytes; a byte that begins none stands for itself, with width 0."""
    cdef uint32_t lead = data[0], code, least, i
    width[0] = 1
    if lead < 0x80:
        return lead
    if lead >= 0xF0:
        width[0], code, least = 4, lead & 0x07, 0x10000
    elif lead >= 0xE0:
        width[0], code, least = 3, lead & 0x0F, 0x800
    else:
        width[0], code, least = 2, lead & 0x1F, 0x80
    if lead < 0xC0 or lead >= 0xF8 or left < width[0]:
        width[0] = 0
        return lead
    for i in range(1, width[0]):
        if data[i] & 0xC0 != 0x80:
            width[0] = 0
            return lead
        code = code << 6 | (data[i] & 0x3F)
    # Overlong, a surrogate, or beyond the last character (RFC 3629 section 3).
    if code < least or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        width[0] = 0
        return lead
    return code

cdef inline bint _is_control(uint32_t code) noexcept nogil:
    """C0, DEL and C1: a terminal may obey them."""
    return code < 0x20 or 0x7F <= code < 0xA0

cdef inline size_t _escape(char* out, uint32_t code) noexcept nogil:
    """How a character below 256 is escaped; the length."""
    cdef const char* digits = b"0123456789abcdef"
    out[0] = c"\\"
    if code == c'"' or code == c"\\":
        out[1] = <char> code
        return 2
    memcpy(&out[1], b"u00", 3)
    out[4] = digits[code >> 4]
    out[5] = digits[code & 15]
    return 6

cdef inline void json_escaped(JsonOut* out, const uint8_t* data, size_t length, size_t most) noexcept nogil:
    """What stands between the quotes of a string; cut where it would take more than `most` bytes."""
    cdef char[6] escaped
    cdef const char* text
    cdef uint32_t code, width = 0
    cdef size_t at = 0, cost
    while at < length:
        code = _utf8(data + at, length - at, &width)
        text, cost = <const char*> data + at, width
        if width == 0 or _is_control(code) or code == c'"' or code == c"\\":
            text, cost = escaped, _escape(escaped, code)
        if cost > most:
            break
        most -= cost
        json_bytes(out, text, cost)
        at += max(width, 1)

cdef inline void json_string(JsonOut* out, const uint8_t* data, size_t length, size_t most) noexcept nogil:
    json_bytes(out, b'"', 1)
    json_escaped(out, data, length, most)
    json_bytes(out, b'"', 1)

cdef inline void json_instant(JsonOut* out, int64_t unix_us) noexcept nogil:
    """RFC 3339 in UTC with milliseconds, in quotes; of the years 1970 to 9999."""
    cdef uint64_t ms = <uint64_t> unix_us // 1000
    cdef uint64_t second = ms // 1000 % 86400
    # The civil date of a day number, in years that begin in March, so that the leap day is the last.
    cdef uint64_t day = ms // 86400000 + 719468
    cdef uint64_t era = day // 146097
    cdef uint64_t of_era = day % 146097
    cdef uint64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef uint64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef uint64_t month = (5 * of_year + 2) // 153
    json_bytes(out, b'"', 1)
    json_digits(out, year + era * 400 + (month >= 10), 4)
    json_bytes(out, b"-", 1)
    json_digits(out, month + 3 if month < 10 else month - 9, 2)
    json_bytes(out, b"-", 1)
    json_digits(out, of_year - (153 * month + 2) // 5 + 1, 2)
    json_bytes(out, b"T", 1)
    json_digits(out, second // 3600, 2)
    json_bytes(out, b":", 1)
    json_digits(out, second // 60 % 60, 2)
    json_bytes(out, b":", 1)
    json_digits(out, second % 60, 2)
    json_bytes(out, b".", 1)
    json_digits(out, ms % 1000, 3)
    json_bytes(out, b'Z"', 2)
