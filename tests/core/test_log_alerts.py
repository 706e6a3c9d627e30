"""TLS alerts while the access log is on: its line names them, and the metrics count them as they do without it."""

from __future__ import annotations

import contextlib
import os

import pytest
from OpenSSL import SSL
from support.access_log import wait_lines
from support.certs import Issued
from support.tls_rig import certificate

from fastnlb.model import CaCertificate

GARBAGE = b"\x17\x03\x03\x00\x20" + b"\0" * 32


@pytest.fixture(scope="module")
def served():
    return [certificate("c", Issued.root().issue("localhost"))]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


def switch_on(one, log):
    with one.paused() as engine:
        engine.access_log(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))


@pytest.fixture(params=["log", "no log"])
def start(request, tls_rig, log):
    """A Rig with the log switched on, or without: what is counted is the same."""

    def begin(served, **listener):
        one = tls_rig(served, **listener)
        if request.param == "log":
            switch_on(one, log)
        return one

    return begin


def told(one, log, *alerts):
    """The alerts of each line, in order of the lines, and what is counted of all; None: there is no line."""
    one.close_clients()
    one.wait_idle()
    counted = {name: value for name, value in one.of_listener().items() if name.startswith(("sent_", "received_"))}
    if not log.exists():
        return None, counted
    lines = wait_lines(log, len(alerts))
    return [(line["tls"]["alert_sent"], line["tls"]["alert_received"]) for line in lines], counted


def check(one, log, *alerts, **counted):
    found, numbers = told(one, log, *alerts)
    assert found in (None, list(alerts))
    assert numbers == counted


def distrust(client):
    """The client does not accept the certificate, and says so."""
    client.tls.set_verify(SSL.VERIFY_PEER, lambda *_: False)
    with pytest.raises(SSL.Error):
        client.handshake()
    client.transmit(client.outgoing())


def talk(client):
    client.handshake()
    client.send(b"x")
    assert client.receive() == b"x"
    return client


def until_the_end(client):
    with contextlib.suppress(SSL.Error, ConnectionError):
        client.receive_all()


def test_a_handshake_that_we_refuse(start, served, log, version):
    one = start(served, authority=CaCertificate("staff", Issued.root("staff").pem))
    one.tls_client(version, identity=Issued.root("others").issue(common_name="mallory")).refused()
    check(one, log, ("unknown_ca", None), sent_unknown_ca=1)


def test_a_handshake_that_the_client_refuses(start, served, log, version):
    one = start(served)
    distrust(one.tls_client(version))
    check(one, log, (None, "unknown_ca"), received_unknown_ca=1)


def test_an_alert_of_ours_after_the_handshake(start, served, log, version):
    one = start(served)
    client = talk(one.tls_client(version))
    client.socket.sendall(GARBAGE)
    until_the_end(client)
    check(one, log, ("bad_record_mac", None))


def test_an_alert_of_the_client_after_the_handshake(start, served, log, version):
    one = start(served)
    client = talk(one.tls_client(version))
    client.tls.bio_write(GARBAGE)
    with pytest.raises(SSL.Error):
        client.tls.recv(1)
    client.transmit(client.outgoing())
    until_the_end(client)
    check(one, log, (None, "bad_record_mac"), received_bad_record_mac=1)


def test_connections_do_not_share_their_alerts(start, served, log, version):
    """TLS objects are freed and made anew at the same place."""
    one = start(served)
    for _ in range(5):
        distrust(one.tls_client(version))
        one.close_clients()
        one.wait_idle()
        client = talk(one.tls_client(version))
        client.end_stream()
        until_the_end(client)
        one.close_clients()
        one.wait_idle()
    check(one, log, *[(None, "unknown_ca"), (None, None)] * 5, received_unknown_ca=5)


def test_an_alert_to_a_connection_that_was_there_before_the_log(tls_rig, served, log, version):
    one = tls_rig(served)
    client = talk(one.tls_client(version))
    switch_on(one, log)
    client.socket.sendall(GARBAGE)
    until_the_end(client)
    check(one, log, ("bad_record_mac", None))
    assert log.exists()
