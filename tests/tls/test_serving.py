"""TLS to the client, plain TCP to the server: versions, key types, ends of stream, aborted handshakes, modes."""

import hashlib
import socket
import ssl

import pytest
from support import stream
from support.procs import wait_for
from support.rig import echo, receive_all
from support.tls_client import reset


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_verifying_client_is_served(rig, backend, material, version, kind):
    one = rig([backend(echo).address], material.server_context(kind))
    pinned = ssl.TLSVersion.TLSv1_2 if version == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
    with material.client_context(pinned).wrap_socket(one.connect(), server_hostname="localhost") as client:
        assert client.version() == version
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    one.wait_idle()
    numbers = one.counters()
    assert numbers["handshakes"] == 1
    assert numbers["handshakes_tls12" if version == "TLSv1.2" else "handshakes_tls13"] == 1


def test_a_client_that_is_too_old_is_told_so(rig, backend, material):
    one = rig([backend(echo).address], material.server_context(policy="tls_cipher_policy_1_2_strict"))
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        material.client_context(ssl.TLSVersion.TLSv1_3).wrap_socket(one.connect(), server_hostname="localhost")
    one.wait_idle()
    assert one.counters()["handshakes_failed"] == 1
    assert one.counters()["closed_handshake"] == 1


def test_the_clients_end_of_stream_reaches_the_server_while_the_answer_still_comes(rig, backend, material, version):
    def answer_after_the_end(sock):
        sock.sendall(hashlib.sha256(receive_all(sock)).digest() * 10_000)

    one = rig([backend(answer_after_the_end).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"q" * 500_000)
    client.end_stream()
    assert client.receive_all() == hashlib.sha256(b"q" * 500_000).digest() * 10_000
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


def test_the_servers_end_of_stream_reaches_the_client_while_it_still_sends(rig, backend, material, version):
    received = []

    def end_then_listen(sock):
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        received.append(receive_all(sock))

    one = rig([backend(end_then_listen).address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_all() == b"bye"
    client.send(b"still here" * 50_000)
    client.end_stream()
    client.close()
    wait_for(lambda: received, "the server to see the end")
    assert received == [b"still here" * 50_000]


def test_a_client_that_only_closes_tcp_has_ended_its_stream(rig, backend, material, version):
    received = []
    one = rig([backend(lambda sock: received.append(receive_all(sock))).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"all I have")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.receive_all() == b""
    client.close()
    wait_for(lambda: received, "the server to see the end")
    assert received == [b"all I have"]


def test_a_reset_of_the_server_is_not_dressed_up_as_a_clean_end(rig, backend, material, version):
    one = rig(
        [backend(lambda sock: (sock.recv(1), sock.sendall(b"part"), reset(sock))).address], material.server_context()
    )
    client = one.tls_client(version).handshake()
    client.send(b"x")
    with pytest.raises((ConnectionResetError, ConnectionError)):
        while client.receive():
            pass
    client.close()
    one.wait_idle()
    assert one.counters()["closed_reset"] == 1


def test_a_client_that_resets_in_mid_record_resets_the_server(rig, backend, material, version):
    seen = []

    def handler(sock):
        try:
            seen.append(receive_all(sock))
        except ConnectionResetError:
            seen.append("reset")
            raise

    one = rig([backend(handler).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"whole")
    client.tls.send(b"y" * 10_000)
    client.socket.sendall(client.outgoing()[:5000])
    one.wait_for(bytes_up=5)
    client.reset()
    wait_for(lambda: seen, "the server to see the end")
    assert seen == ["reset"]


def test_garbage_after_the_handshake_ends_the_connection_with_an_alert(rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client(version).handshake()
    client.send(b"x")
    assert client.receive() == b"x"
    client.socket.sendall(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
    with pytest.raises(Exception, match=r"(?i)bad record mac|decryption failed|decrypt"):
        client.receive()
    client.close()
    one.wait_idle()
    assert one.counters()["closed_tls"] == 1


def test_plain_text_on_a_tls_port_is_refused(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    with one.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        receive_all(client)
    one.wait_idle()
    assert one.counters()["handshakes_failed"] == 1


def test_a_silent_client_costs_no_tls_object_and_is_let_go(rig, backend, material):
    one = rig([backend(echo).address], material.server_context(), handshake_ms=300)
    with one.connect() as client:
        one.wait_for(accepted=1)
        assert one.counters()["tls_objects"] == 0
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert one.counters()["handshakes_timed_out"] == 1


def test_a_handshake_in_single_bytes_succeeds(rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client(version)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.transmit = lambda data: [client.socket.sendall(bytes([byte])) for byte in data]
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    client.close()


def test_bulk_in_turns_each_way_survives_every_change_of_mode(rig, backend, material, version):
    """Downloads and uploads alternate, so the half moves between memory and descriptor mode many times."""
    sizes = [1, 700_000, 3, 2_000_000, 16_384, 900_001, 65_536, 1_500_000]
    order = []

    def serve(sock):
        for i, size in enumerate(sizes):
            if i % 2:
                sock.sendall(bytes([i]) * size)
            else:
                got = 0
                while got < size:
                    data = sock.recv(min(65536, size - got))
                    assert data == bytes([i]) * len(data)
                    got += len(data)
                sock.sendall(b"k")
            order.append(i)

    one = rig([backend(serve).address], material.server_context())
    client = one.tls_client(version).handshake()
    for i, size in enumerate(sizes):
        if i % 2:
            assert client.receive_exactly(size) == bytes([i]) * size
        else:
            client.send(bytes([i]) * size)
            assert client.receive_exactly(1) == b"k"
    assert client.receive_all() == b""
    client.close()
    wait_for(lambda: len(order) == len(sizes), "the server to finish")
    assert order == list(range(len(sizes)))


def test_bulk_both_ways_at_once(rig, backend, material, version):
    size = 20_000_000
    one = rig([backend(stream.mirror).address], material.server_context())
    pinned = ssl.TLSVersion.TLSv1_2 if version == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
    with material.client_context(pinned).wrap_socket(one.connect(), server_hostname="localhost") as client:
        received_there, received_here = stream.exchange(client, size, size)
    one.wait_idle()
    assert received_there == received_here == stream.digest(size)
