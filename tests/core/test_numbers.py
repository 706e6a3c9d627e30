"""What the core counts for a listener and for a server.  A Rig demands at its end that all of it adds up."""

from __future__ import annotations

import contextlib
import socket

import pytest
from OpenSSL import SSL
from support.certs import Issued
from support.procs import free_port
from support.rig import HOST, echo, group_fields, listening_socket
from support.tls_client import TlsClient, reset
from support.tls_rig import certificate

from fastnlb._core.engine import Engine
from fastnlb.model import CaCertificate, SecurityPolicy
from fastnlb.stats.labels import CIPHERS, GROUPS
from fastnlb.tls.available import has_cipher
from fastnlb.tls.policies import TLS_VERSIONS, key_types_of

HELLO = b"hello"


@pytest.fixture(scope="module")
def served():
    """A certificate of each key type."""
    root = Issued.root()
    return [certificate("ec", root.issue("localhost")), certificate("rsa", root.issue("localhost", key="RSA"))]


def everything():
    """A policy with all that there is."""
    ciphers = tuple(cipher for cipher in CIPHERS if has_cipher(cipher))
    return {"policy": SecurityPolicy("all", TLS_VERSIONS, ciphers, GROUPS)}


def visit(client):
    client.handshake()
    client.send(HELLO)
    assert client.receive_exactly(5) == HELLO
    client.end_stream()
    client.close()
    return client


def only(numbers, prefix):
    return {name: value for name, value in numbers.items() if name.startswith(prefix)}


# --- connections -----------------------------------------------------------------------------------------------


def test_listeners_are_counted_apart(rig, backend):
    one = rig([backend(echo).address], limits=[(0, 0), (0, 0)])
    for listener, size in ((0, 10), (1, 200)):
        client = one.connect(listener)
        client.sendall(b"x" * size)
        assert len(client.recv(1000)) == size
        assert one.of_listener(listener)["connections"] == 1
        client.close()
    one.wait_idle()
    for listener, size in ((0, 10), (1, 200)):
        found = one.of_listener(listener)
        assert {name: value for name, value in found.items() if not name.startswith("connect_")} == {
            "accepted": 1,
            "closed_clean": 1,
            "bytes_up": size,
            "bytes_down": size,
        }
    assert one.of_server() == {"connects": 2}


def test_clients_that_a_limit_sends_away_are_its_listeners(rig, backend):
    one = rig([backend(echo).address], limits=[(0, 0), (0, 1)])
    held = one.connect(1)
    one.wait_for(connects=1)
    with contextlib.suppress(ConnectionResetError):
        one.connect(1)
    one.wait_for(dropped_max_connections=1)
    assert one.of_listener(1)["dropped_max_connections"] == 1
    assert "dropped_max_connections" not in one.of_listener(0)
    held.close()


def test_failures_to_connect_are_the_servers(rig, backend, black_hole):
    nobody = (HOST, free_port())
    one = rig([nobody, black_hole, backend(echo).address], connect_ms=300, group={"scheduler": "rr"})
    client = one.connect()
    client.sendall(HELLO)
    assert client.recv(5) == HELLO
    assert one.of_server(0) == {"failed_refused": 1}
    assert one.of_server(1) == {"failed_timed_out": 1}
    assert one.of_server(2) == {"connects": 1, "connections": 1}


def test_the_time_to_connect_is_that_of_the_attempt_that_succeeded(rig, backend, black_hole):
    one = rig([black_hole, backend(echo).address], connect_ms=600, group={"scheduler": "rr"})
    client = one.connect()
    client.sendall(HELLO)
    assert client.recv(5) == HELLO
    found = one.of_listener()
    assert sum(only(found, "connect_bucket_").values()) == 1
    assert 0 < found["connect_sum"] < 600e6


# --- handshakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cipher", [cipher for cipher in CIPHERS if has_cipher(cipher)])
def test_a_handshake_is_counted_by_its_cipher(tls_rig, served, cipher):
    one = tls_rig(served, **everything())
    version = "TLSv1.3" if cipher.startswith("TLS_") else "TLSv1.2"
    assert key_types_of(cipher, version)
    visit(one.tls_client(version, ciphers=cipher))
    one.wait_idle()
    name = "cipher_" + cipher.lower().replace("-", "_")
    assert only(one.of_listener(), "cipher_") == {name: 1}


@pytest.mark.parametrize("group", GROUPS)
def test_a_handshake_is_counted_by_its_group(tls_rig, served, group):
    one = tls_rig(served, **everything())
    visit(one.tls_client("TLSv1.3", groups=group))
    one.wait_idle()
    assert only(one.of_listener(), "group_") == {"group_" + group.lower().replace("-", "_"): 1}


def test_without_a_key_exchange_there_is_no_group(tls_rig, served):
    one = tls_rig(served, **everything())
    visit(one.tls_client("TLSv1.2", ciphers="AES128-GCM-SHA256"))
    one.wait_idle()
    assert only(one.of_listener(), "group_") == {"group_none": 1}


@pytest.mark.parametrize("old", TLS_VERSIONS)
def test_a_handshake_is_counted_by_its_version_and_whether_it_was_resumed(tls_rig, served, old):
    one = tls_rig(served, security_policy="tls_cipher_policy_1_0") if old < "TLSv1.2" else tls_rig(served)
    first = visit(one.tls_client(old))
    visit(TlsClient(one.address, old, resume=first))
    one.wait_idle()
    word = old.lower().replace(".", "")
    assert only(one.of_listener(), "handshakes_") == {f"handshakes_{word}": 1, f"handshakes_{word}_resumed": 1}


def test_how_long_a_handshake_took(tls_rig, served):
    one = tls_rig(served)
    visit(one.tls_client())
    one.wait_idle()
    found = one.of_listener()
    assert sum(only(found, "handshake_bucket_").values()) == 1
    assert 0 < found["handshake_sum"] < 20e9


def test_as_many_times_as_there_were_handshakes_and_connects(tls_rig, served):
    """The two histograms and their sums stand side by side: none may run into another."""
    one = tls_rig(served)
    for _ in range(20):
        visit(one.tls_client())
    one.wait_idle()
    found = one.of_listener()
    assert sum(only(found, "handshake_bucket_").values()) == sum(only(found, "connect_bucket_").values()) == 20


# --- failures --------------------------------------------------------------------------------------------------


def refused_for(one, reason, **alerts):
    """The one failure, and the alerts."""
    one.wait_idle()
    found = one.of_listener()
    assert only(found, "failed_") == {f"failed_{reason}": 1}
    assert {**only(found, "sent_"), **only(found, "received_")} == alerts


def test_what_is_no_tls(tls_rig, served):
    one = tls_rig(served)
    client = one.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while client.recv(100):
        pass
    client.close()
    one.wait_idle()
    assert only(one.of_listener(), "failed_") == {"failed_not_tls": 1}


def test_no_common_version(tls_rig, served):
    one = tls_rig(served, security_policy="tls_cipher_policy_1_2_strict")
    one.tls_client("TLSv1.3").refused()
    one.close_clients()
    refused_for(one, "protocol_version", sent_protocol_version=1)


def test_no_common_cipher(tls_rig, served):
    one = tls_rig(served, security_policy="tls_cipher_policy_1_2_strict")
    one.tls_client("TLSv1.2", ciphers="AES128-SHA").refused()
    one.close_clients()
    refused_for(one, "no_shared_cipher", sent_handshake_failure=1)


def test_no_common_group(tls_rig, served):
    one = tls_rig(served, policy=SecurityPolicy("one", ("TLSv1.3",), ("TLS_AES_128_GCM_SHA256",), ("X25519",)))
    one.tls_client("TLSv1.3", groups="P-256").refused()
    one.close_clients()
    refused_for(one, "no_shared_group", sent_handshake_failure=1)


def test_a_name_that_is_not_served(tls_rig, served):
    one = tls_rig(served, strict_sni=True)
    one.tls_client(name=b"elsewhere.test").refused()
    one.close_clients()
    refused_for(one, "no_server_name", sent_unrecognized_name=1)


def test_no_common_protocol(tls_rig, served):
    one = tls_rig(served, alpn_policy="HTTP2Only", alpn_strict=True)
    one.tls_client(alpn=[b"http/1.0"]).refused()
    one.close_clients()
    refused_for(one, "no_application_protocol", sent_no_application_protocol=1)


def test_no_client_certificate(tls_rig, served, version):
    one = tls_rig(served, authority=CaCertificate("staff", Issued.root("staff").pem))
    one.tls_client(version).refused()
    one.close_clients()
    alert = "certificate_required" if version == "TLSv1.3" else "handshake_failure"
    refused_for(one, "no_client_certificate", **{f"sent_{alert}": 1})


def test_a_client_certificate_of_somebody_else(tls_rig, served, version):
    one = tls_rig(served, authority=CaCertificate("staff", Issued.root("staff").pem))
    one.tls_client(version, identity=Issued.root("others").issue(common_name="mallory")).refused()
    one.close_clients()
    refused_for(one, "bad_client_certificate", sent_unknown_ca=1)


def test_a_client_that_does_not_trust_the_certificate(tls_rig, served, version):
    one = tls_rig(served)
    client = one.tls_client(version)
    client.tls.set_verify(SSL.VERIFY_PEER, lambda *_: False)
    with pytest.raises(SSL.Error):
        client.handshake()
    client.transmit(client.tls.bio_read(1000))
    client.close()
    refused_for(one, "client_alert", received_unknown_ca=1)


def test_a_client_that_leaves(tls_rig, served):
    one = tls_rig(served)
    reset(one.connect())
    one.wait_for(handshakes_aborted=1)
    refused_for(one, "aborted")


def test_a_client_that_says_nothing(tls_rig, served):
    one = tls_rig(served, handshake_timeout=1)
    silent = one.connect()
    one.wait_for(handshakes_timed_out=1)
    silent.close()
    refused_for(one, "timed_out")


def test_an_engine_without_a_ledger_serves(backend):
    engine = Engine(None)
    listener = listening_socket()
    address = listener.getsockname()
    fields = (0, None, 1000, 1000, 60_000, -1, 0, 0, b"l", None)
    server = backend(echo)
    engine.prepare(1, [(["l"], fields)], [group_fields([server.address], cells=[-1])], {"l": listener.detach()})
    engine.commit()
    with socket.create_connection(address) as client:
        client.sendall(HELLO)
        engine.drain(5)
        client.shutdown(socket.SHUT_WR)
        engine.run()
        assert client.recv(5) == HELLO
    engine.close()
