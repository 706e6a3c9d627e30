"""Lines of the access log are JSON in one line, whatever the bytes that clients, certificates and paths hold."""

import datetime
import json

import pytest
from fastnlb._core._testing_log import (
    ALERT_NAMES,
    CLOSES,
    FAULT_NAMES,
    LINE_MOST,
    SUBJECT_MOST,
    attribute,
    instant,
    json_text,
    log_line,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnlb._core.defs import Fault

FAULTS = [fault for fault in Fault if fault != Fault.FAULTS]
V4, V6 = (bytes([192, 0, 2, 1]), 443), (bytes.fromhex("20010db8" + 23 * "0" + "1"), 50_000)
AGREED = {"version": b"TLSv1.3", "cipher": b"TLS_AES_128_GCM_SHA256", "group": b"X25519MLKEM768"}


def parsed(line):
    assert line is not None
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= LINE_MOST
    text = line.decode("utf-8", "strict")
    assert not [each for each in text[:-1] if ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0], "a terminal may obey it"
    return json.loads(text)


def wire(protocols):
    return b"".join(bytes([len(each)]) + each for each in protocols)


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=300))
@example(b'"\\\x00\n\r\t\x7f\x1b[2J')
@example("grün, 漢字, 😀, \x9b".encode())
@example(b"\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xff \xe6\xbc")
def test_a_string_of_any_bytes_is_json(data):
    text = json.loads(json_text(data).decode("utf-8", "strict"))
    try:
        assert text == data.decode()
    except UnicodeDecodeError:
        assert len(text) <= len(data)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=100), st.integers(0, 60))
def test_a_cut_string_is_json_and_begins_as_the_whole_one(data, most):
    cut = json_text(data, most)
    assert len(cut) <= most + 2
    assert json.loads(json_text(data)).startswith(json.loads(cut.decode("utf-8", "strict")))


def test_what_is_no_utf8_stands_for_itself():
    assert json.loads(json_text(b"a\xffb\xc3")) == "a\xffb\xc3"
    assert json_text(b"\xff") == b'"\\u00ff"'


@settings(deadline=None, max_examples=200)
@given(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(9999, 12, 31)))
@example(datetime.datetime(2000, 2, 29, 23, 59, 59, 999_999))
@example(datetime.datetime(2100, 3, 1))
def test_an_instant_is_that_of_the_calendar(moment):
    since = moment - datetime.datetime(1970, 1, 1)
    microseconds = since // datetime.timedelta(microseconds=1)
    assert instant(microseconds).decode() == f'"{moment.isoformat(timespec="milliseconds")}Z"'


@settings(deadline=None, max_examples=500)
@given(
    st.fixed_dictionaries(
        {
            "server_name": st.none() | st.binary(max_size=255),
            "offered": st.lists(st.binary(min_size=1, max_size=20), max_size=2).map(wire),
            "alpn": st.none() | st.binary(max_size=64),
            "client_subject": st.none() | st.binary(max_size=SUBJECT_MOST),
            "serial": st.none() | st.binary(max_size=40),
            "client_serial": st.none() | st.binary(max_size=300),
            "alert_sent": st.integers(0, 255),
            "alert_received": st.integers(0, 255),
        }
    ),
    st.binary(max_size=1024),
    st.none() | st.binary(max_size=108),
    st.sampled_from(FAULTS),
)
def test_a_line_of_any_bytes_is_json(tls, listener, path, fault):
    line = parsed(log_line({**AGREED, **tls}, listener=listener, server_path=path, fault=fault, client=V6))
    assert line["closed"] == CLOSES[fault].removeprefix("closed_")
    assert (line["tls"]["server_name"] is None) == (tls["server_name"] is None)
    assert (line["server"] is None) == (path is None)
    assert len(line["tls"]["alpn_offered"] or []) <= 2


def test_the_longest_line_fits():
    most = 2**64 - 1
    worst = b"\x01" * 1024
    line = log_line(
        {
            **AGREED,
            "server_name": worst[:255],
            "offered": wire([b"\x01"] * 23),
            "alpn": worst[:64],
            "client_subject": worst[:512],
            "serial": worst,
            "client_serial": worst,
            "alert_sent": 113,
            "alert_received": 113,
        },
        listener=worst,
        client=(b"\xfe" * 16, 65535),
        peer=(b"\xfe" * 16, 65535),
        destination=(b"\xfe" * 16, 65535),
        server_path=worst[:108],
        bytes_up=most,
        bytes_down=most,
        duration_us=2**62,
        handshake_us=2**32,
        connect_us=2**32,
        pid=2**32 - 1,
        fault=Fault.FAULT_HANDSHAKE_TIMEOUT,
    )
    assert len(parsed(line)["tls"]["alpn_offered"]) == 23


@pytest.mark.parametrize("room", [0, 1, 100, 400])
def test_a_line_that_does_not_fit_is_none(room):
    assert log_line(AGREED, room=room, listener=b"l") is None


def test_every_field_is_there():
    line = parsed(
        log_line(
            {
                **AGREED,
                "server_name": b"www.example.com",
                "offered": wire([b"h2", b"http/1.1"]),
                "alpn": b"h2",
                "serial": bytes([0x0A, 0xFF]),
                "client_subject": b"CN=alice",
                "client_serial": bytes([1]),
            },
            began_us=1_000_000_123_456,
            duration_us=2_000_500,
            handshake_us=1_004,
            connect_us=12,
            listener="zürich".encode(),
            client=V4,
            peer=V6,
            destination=V4,
            server=V6,
            bytes_up=3,
            bytes_down=4,
            pid=7,
        )
    )
    assert line == {
        "time": "1970-01-12T13:46:40.123Z",
        "listener": "zürich",
        "client": "192.0.2.1:443",
        "peer": "[2001:db8::1]:50000",
        "destination": "192.0.2.1:443",
        "server": "[2001:db8::1]:50000",
        "duration_ms": 2000.5,
        "handshake_ms": 1.004,
        "connect_ms": 0.012,
        "bytes_up": 3,
        "bytes_down": 4,
        "closed": "clean",
        "fault": None,
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_128_GCM_SHA256",
            "group": "X25519MLKEM768",
            "server_name": "www.example.com",
            "alpn_offered": ["h2", "http/1.1"],
            "alpn": "h2",
            "resumed": False,
            "certificate_serial": "0AFF",
            "client_subject": "CN=alice",
            "client_serial": "01",
            "alert_sent": None,
            "alert_received": None,
        },
        "pid": 7,
    }


def test_what_there_was_not_is_null():
    line = parsed(log_line({}, fault=Fault.FAULT_ABORTED))
    assert {value for name, value in line["tls"].items()} == {None}
    assert all(line[name] is None for name in ("client", "peer", "destination", "server", "handshake_ms"))
    assert parsed(log_line())["tls"] is None
    assert parsed(log_line(server_path=b"/run/a b.sock"))["server"] == "unix:/run/a b.sock"


def test_faults_and_numbers_have_the_names_they_have_elsewhere():
    assert FAULT_NAMES[0] is None
    for fault in FAULTS[1:]:
        assert FAULT_NAMES[fault] == fault.name.removeprefix("FAULT_").lower().encode()
    for fault in FAULTS:
        assert "closed_" + parsed(log_line(fault=fault))["closed"] == CLOSES[fault]


def test_alerts_have_names_or_numbers():
    assert {40: "handshake_failure", 48: "unknown_ca", 116: "certificate_required"}.items() <= ALERT_NAMES.items()
    assert parsed(log_line({"alert_sent": 48, "alert_received": 200}))["tls"]["alert_sent"] == "unknown_ca"
    assert parsed(log_line({"alert_received": 200}))["tls"]["alert_received"] == "200"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"alice", b"CN=alice"),
        (b"Smith, John", rb"CN=Smith\, John"),
        (b" #a# ", rb"CN=\ #a#\ "),
        (b"#1", rb"CN=\#1"),
        (b'x,O=Evil+"<>;\\', rb"CN=x\,O=Evil\+\"\<\>\;\\"),
        (b"", b"CN="),
    ],
)
def test_a_subject_cannot_forge_another_attribute(value, text):
    assert attribute(b"", b"CN", value) == text
    assert attribute(b"O=Example", b"CN", value) == b"O=Example," + text


@given(st.binary(max_size=SUBJECT_MOST), st.binary(max_size=SUBJECT_MOST))
def test_an_attribute_that_does_not_fit_is_left_out(before, value):
    text = attribute(before, b"CN", value)
    if text is None:
        assert len(before) + 2 * len(value) + 4 > SUBJECT_MOST
    else:
        assert text.startswith(before)
