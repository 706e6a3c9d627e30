"""Parsing PROXY protocol headers: what is accepted, byte by byte, and that everything else is refused."""

import ipaddress
import struct

import pytest
from fastnlb._core._testing_proxy import PROXY_IN_MOST, parse_proxy_header
from hypothesis import given
from hypothesis import strategies as st
from support.proxy_header import AWS, SIGNATURE, checked, tlv

V4 = bytes.fromhex("c0000201c6336402c82201bb")
CLIENT, LOCAL = (bytes([192, 0, 2, 1]), 51234), (bytes([198, 51, 100, 2]), 443)


def v2(rest, command=0x21, family=0x11):
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def packed(text):
    return ipaddress.ip_address(text).packed


def test_what_aws_sends():
    assert parse_proxy_header(AWS) == (100, (packed("172.31.7.113"), 51442), (packed("172.31.10.31"), 80))


ACCEPTED = [
    (v2(V4), CLIENT, LOCAL),
    (v2(packed("::1") + packed("2001:db8::2") + b"\x00\x01\x00\x02", 0x21, 0x21), (packed("::1"), 1), None),
    (v2(bytes(216), 0x21, 0x31), None, None),
    (v2(b"", 0x21, 0x00), None, None),
    (v2(b"anything", 0x21, 0x00), None, None),
    (v2(b"", 0x20, 0x00), None, None),
    (v2(b"abc", 0x20, 0x11), None, None),
    (v2(V4 + tlv(4, bytes(9))), CLIENT, LOCAL),
    (v2(V4 + tlv(5, bytes(128))), CLIENT, LOCAL),
    (v2(V4 + tlv(0x20, b"\x01\x00\x00\x00\x01" + tlv(0x21, b"TLSv1.3"))), CLIENT, LOCAL),
    (checked(v2(V4 + tlv(3, bytes(4)) + tlv(1, b"h2")), 31), CLIENT, LOCAL),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n", CLIENT, LOCAL),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", (b"\xff" * 4, 65535), (b"\xff" * 4, 65535)),
    (b"PROXY TCP6 ::1 2001:db8::2 0 2\r\n", (packed("::1"), 0), (packed("2001:db8::2"), 2)),
    (b"PROXY UNKNOWN\r\n", None, None),
    (b"PROXY UNKNOWN whatever \r stands here\r\n", None, None),
    (b"PROXY UNKNOWN " + 91 * b"x" + b"\r\n", None, None),
]


@pytest.mark.parametrize(("header", "source", "target"), ACCEPTED)
def test_a_good_header_is_accepted_at_its_end_and_not_before(header, source, target):
    """And what follows makes no difference to it."""
    for cut in range(len(header)):
        assert parse_proxy_header(header[:cut]) == "more", cut
    for behind in (b"", b"\x16\x03\x01", b"\r\n", header):
        length, said, aimed = parse_proxy_header(header + behind)
        assert (length, said) == (len(header), source)
        assert target is None or aimed == target


MALFORMED = [
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4",
    b"\r\n\r\n\x00\r\nQUIX",
    SIGNATURE + b"\x11",
    SIGNATURE + b"\x22",
    SIGNATURE + b"\x31",
    v2(V4, family=0x12),
    v2(V4, family=0x10),
    v2(V4, family=0x01),
    v2(V4, family=0x41),
    v2(bytes(216), family=0x32),
    v2(V4[:-1]),
    v2(V4, family=0x21),
    v2(bytes(215), family=0x31),
    v2(V4 + b"\x04"),
    v2(V4 + b"\x04\x00"),
    v2(V4 + b"\x04\x00\x01"),
    v2(V4 + tlv(3, bytes(4))),
    v2(V4 + tlv(3, bytes(3))),
    checked(v2(V4 + tlv(3, bytes(4)) + tlv(3, bytes(4))), 31),
    v2(V4 + tlv(5, bytes(129))),
    v2(V4 + tlv(0x20, bytes(4))),
    v2(V4 + tlv(0x20, bytes(5) + b"\x21\x00")),
    v2(V4 + tlv(0x20, bytes(5) + b"\x21\x00\x01")),
    SIGNATURE + b"\x21\x11" + (PROXY_IN_MOST - 15).to_bytes(2, "big"),
    SIGNATURE + b"\x20\x00\xff\xff",
    b"PROXY UNKNOWN " + 92 * b"x" + b"\r",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1  2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 655350\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2x\r\n",
    b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP6 ::1%eth0 ::1 1 2\r\n",
    b"PROXY TCP6 1::2::3 ::1 1 2\r\n",
    b"PROXY TCP4 1.2.3.4\x00 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r 3\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n",
]


@pytest.mark.parametrize("header", MALFORMED)
def test_a_header_that_is_not_as_it_should_be_is_refused(header):
    assert parse_proxy_header(header) == "malformed"
    for cut in range(len(header)):
        assert parse_proxy_header(header[:cut]) in ("more", "malformed")


def test_a_line_that_does_not_end_is_refused_once_it_is_too_long():
    line = b"PROXY UNKNOWN " + 200 * b"x"
    assert parse_proxy_header(line[:106]) == "more"
    assert parse_proxy_header(line[:107]) == "malformed"


def test_the_longest_header_is_accepted():
    header = v2(V4 + tlv(4, bytes(PROXY_IN_MOST - 16 - 12 - 3)))
    assert len(header) == PROXY_IN_MOST
    assert parse_proxy_header(header)[0] == PROXY_IN_MOST


addresses = st.one_of(
    st.tuples(st.just(4), st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.just(6), st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
ports = st.integers(0, 65535)
tlvs = st.lists(st.tuples(st.integers(6, 0x1F) | st.integers(0x22, 255), st.binary(max_size=40)), max_size=6)


@given(addresses, ports, ports, st.binary(max_size=20))
def test_every_line_of_version_1(ends, source, target, behind):
    version, one, other = ends
    line = f"PROXY TCP{version} {one} {other} {source} {target}\r\n".encode()
    assert parse_proxy_header(line + behind) == (len(line), (one.packed, source), (other.packed, target))


@given(addresses, ports, ports, tlvs, st.booleans(), st.data())
def test_every_header_of_version_2(ends, source, target, extra, summed, data):
    """Its length, its addresses, each truncation, and a lie in any byte of a header with a checksum."""
    version, one, other = ends
    block = one.packed + other.packed + struct.pack("!HH", source, target)
    at = 16 + len(block) + 3
    header = v2(
        block + (tlv(3, bytes(4)) if summed else b"") + b"".join(tlv(*each) for each in extra),
        family=0x11 if version == 4 else 0x21,
    )
    header = checked(header, at) if summed else header
    assert parse_proxy_header(header) == (len(header), (one.packed, source), (other.packed, target))
    assert parse_proxy_header(header[: data.draw(st.integers(0, len(header) - 1))]) == "more"
    if summed:
        place = data.draw(st.integers(16, at - 4) | st.integers(at, at + 3))
        changed = bytearray(header)
        changed[place] ^= data.draw(st.integers(1, 255))
        assert parse_proxy_header(bytes(changed)) == "malformed"
