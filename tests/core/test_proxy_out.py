"""Headers of the PROXY protocol, version 2, as they are written: byte by byte."""

import ipaddress

import pytest
from fastnlb._core._testing_proxy import crc32c, proxy_header
from hypothesis import given
from hypothesis import strategies as st
from support.proxy_header import AWS

from fastnlb.model import ProxyProtocol
from fastnlb.worker.proxy import FLAGS, id_tlvs

ALL = sum(FLAGS.values())
CLIENT4, LOCAL4 = (bytes([192, 0, 2, 1]), 51234), (bytes([198, 51, 100, 2]), 443)
CLIENT6 = (ipaddress.ip_address("2001:db8::1").packed, 51234)
LOCAL6 = (ipaddress.ip_address("2001:db8::2").packed, 443)
SIGNATURE = "0d0a0d0a000d0a515549540a"


def test_the_checksum_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(b"1234", b"", b"56789") == 0xE3069283
    assert crc32c(AWS[:31], bytes(4), AWS[35:]) == 0xE8D6892D


def test_addresses_alone_of_version_4():
    assert proxy_header(CLIENT4, LOCAL4).hex() == SIGNATURE + "2111000cc0000201c6336402c82201bb"


def test_addresses_alone_of_version_6():
    expected = "2121002420010db800000000000000000000000120010db8000000000000000000000002c82201bb"
    assert proxy_header(CLIENT6, LOCAL6).hex() == SIGNATURE + expected


@pytest.mark.parametrize(
    ("source", "target", "addresses"),
    [
        (CLIENT4, LOCAL6, "00000000000000000000ffffc000020120010db8000000000000000000000002"),
        (CLIENT6, LOCAL4, "20010db800000000000000000000000100000000000000000000ffffc6336402"),
    ],
)
def test_of_two_families_both_are_written_as_version_6(source, target, addresses):
    assert proxy_header(source, target).hex() == SIGNATURE + "21210024" + addresses + "c82201bb"


def test_the_checksum_of_what_aws_sends_stands_where_it_stands_there():
    ids = AWS[28 + 7 :]
    ours = proxy_header((AWS[16:20], 0xC8F2), (AWS[20:24], 80), FLAGS["crc32c"], ids=ids)
    # Here the ids come first; otherwise the two have the same bytes.
    assert ours[:28] == AWS[:28]
    assert ours[28 : 28 + len(ids)] == ids
    assert ours[28 + len(ids) : -4].hex() == "030004"
    assert int.from_bytes(ours[-4:], "big") == crc32c(ours[:-4] + bytes(4))


def test_the_ids_of_alibaba():
    assert id_tlvs(ProxyProtocol((), "vpc-1", None, "epsrv-2")).hex() == (
        "e1000601" + b"vpc-1".hex() + "e1000803" + b"epsrv-2".hex()
    )
    assert id_tlvs(ProxyProtocol(ep_id="ep-3")).hex() == "e1000502" + b"ep-3".hex()


def full(**changes):
    facts = {
        "ids": bytes.fromhex("e1000401") + b"vpc",
        "alpn": b"h2",
        "authority": b"a.test",
        "client": 3,
        "verify": 0,
        "version": b"TLSv1.3",
        "common_name": "Zoë".encode(),
        "key_alg": b"EC256",
        "sig_alg": b"RSA-SHA256",
        "cipher": b"TLS_AES_128_GCM_SHA256",
    }
    return proxy_header(CLIENT4, LOCAL4, ALL, **{**facts, **changes})


def test_everything_in_its_order():
    ssl = (
        "03" "00000000" "210007" + b"TLSv1.3".hex() + "220004" "5a6fc3ab" "250005" + b"EC256".hex()
        + "24000a" + b"RSA-SHA256".hex() + "230016" + b"TLS_AES_128_GCM_SHA256".hex()
    )  # fmt: skip
    tlvs = (
        "e1" "0004" "01" "767063" "030004" "%s" "010002" "6832" "020006" + b"a.test".hex()
        + "20" + f"{len(ssl) // 2:04x}" + ssl
    )  # fmt: skip
    blank = SIGNATURE + "2111" + f"{12 + len(tlvs % '00000000') // 2:04x}" + "c0000201c6336402c82201bb" + tlvs
    crc = crc32c(bytes.fromhex(blank % "00000000"))
    assert full().hex() == blank % f"{crc:08x}"


@given(st.integers(0, ALL))
def test_each_is_selected_by_itself(flags):
    header = proxy_header(CLIENT4, LOCAL4, flags, alpn=b"h2", authority=b"a.test", client=1, verify=1)
    kinds = [1] * bool(flags & 1) + [2] * bool(flags & 2) + [0x20] * bool(flags & 4)
    found, at = [], 28
    while at < len(header):
        found.append(header[at])
        at += 3 + int.from_bytes(header[at + 1 : at + 3], "big")
    assert found == [3] * bool(flags & 8) + kinds
    assert at == len(header)


def test_what_is_not_known_is_left_out():
    assert proxy_header(CLIENT4, LOCAL4, ALL - FLAGS["crc32c"]) == proxy_header(CLIENT4, LOCAL4)
    bare = proxy_header(CLIENT4, LOCAL4, FLAGS["ssl"], client=1, verify=1)
    assert bare[28:].hex() == "2000050100000001"


@given(st.integers(0, 300))
def test_a_header_that_does_not_fit_is_none_and_nothing_is_overrun(room):
    whole = full()
    header = full(room=room)
    assert header == (whole if len(whole) <= room else None)


def test_the_longest_header_fits_and_what_is_usual_stays_below_the_limit_of_the_specification():
    assert full(ids=bytes(512), alpn=b"a" * 255, authority=b"b" * 255, common_name=b"c" * 255, cipher=b"d" * 255)
    assert len(full()) < 536
