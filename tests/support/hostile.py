"""What tests of hostile clients share: a server that notes what it gets, forged clients, neighbours."""

import contextlib

from OpenSSL import SSL

from support.forge import Forger
from support.procs import wait_for


class Listener:
    """A server that notes all it receives and how the stream ended."""

    def __init__(self):
        self.received = bytearray()
        self.end = None

    def __call__(self, sock):
        try:
            while data := sock.recv(65536):
                self.received += data
            self.end = "end"
        except ConnectionResetError:
            self.end = "reset"

    def wait_end(self):
        return wait_for(lambda: self.end, "the server to see the end")


def forger(one, **options):
    client = Forger(one.address, **options)
    one.adopt(client.socket)
    client.handshake()
    return client


def sealed(client, parts):
    """The records a client would send for these parts, one each."""
    records = []
    for part in parts:
        client.tls.send(part)
        records.append(client.outgoing())
    return records


def assert_neighbours_are_served(one, version="TLSv1.3", times=1):
    for _ in range(times):
        client = one.tls_client(version).handshake()
        client.send(b"e" * 1000)
        assert client.receive_exactly(1000) == b"e" * 1000
        client.close()


def receive_to_the_end(client):
    """All plaintext until the connection ends, however it does."""
    received = bytearray()
    with contextlib.suppress(ConnectionError, SSL.Error):
        while data := client.receive():
            received += data
    return bytes(received)
