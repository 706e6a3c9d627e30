"""When a TLS 1.3 client gets its session ticket: at once, unless it has asked for something that it may come with."""

import pytest
from OpenSSL import SSL
from support.rig import echo
from support.tcp_info import data_segments_received
from support.tls_client import CHUNK


def records(data):
    """The TLS records that `data` is made of (RFC 8446 section 5.1)."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        assert len(data) >= size, "the end of it is missing"
        found.append(data[:size])
        data = data[size:]
    return found


def take_ticket(client):
    """Reads what comes, which must be one ticket and nothing else."""
    data = client.socket.recv(CHUNK)
    assert len(records(data)) == 1
    client.tls.bio_write(data)
    with pytest.raises(SSL.WantReadError):
        client.tls.recv(1)


def resumes(one, client):
    client.end_stream()
    again = one.tls_client(resume=client).handshake()
    again.send(b"again")
    one.wait_for(handshakes=2)
    return one.counters()["handshakes_resumed"] == 1


def client_that_asks(one, question):
    """It ends its handshake and asks in one packet."""
    client = one.tls_client()
    while True:
        try:
            client.tls.do_handshake()
            break
        except SSL.WantReadError:
            client.flush()
            assert client.feed()
    client.tls.send(question)
    client.flush()
    return client


def read_only(sock):
    while sock.recv(CHUNK):
        pass


def test_a_client_that_says_nothing_has_its_ticket_at_once(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client().handshake()
    take_ticket(client)
    assert resumes(one, client)


def test_a_ticket_goes_along_with_the_answer(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = client_that_asks(one, b"hello")
    # What came before are the server's flights, each of one packet.
    assert client.receive_exactly(5) == b"hello"
    assert data_segments_received(client.socket) == 2
    assert resumes(one, client)


def test_a_ticket_does_not_wait_for_a_server_that_is_silent(rig, backend, material):
    one = rig([backend(read_only).address], material.server_context())
    client = client_that_asks(one, b"hello")
    take_ticket(client)
    assert resumes(one, client)


def test_a_ticket_that_waits_when_the_client_ends_its_stream_is_not_lost(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = client_that_asks(one, b"hello")
    client.end_stream()
    assert client.receive_all() == b"hello"
    assert resumes(one, client)
