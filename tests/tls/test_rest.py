"""A TLS connection at rest holds no BIOs and no OCSP response, and serves as before as soon as it is used again."""

import ctypes
import socket
import time

import pytest
from support.certs import Issued
from support.forge import Forger
from support.ocsp_client import Asking
from support.procs import wait_for, wait_steady
from support.rig import echo, held, receive_all
from support.tls_rig import certificate

from fastnlb.model import Staple
from fastnlb.tls import binding


class Spy:
    """Stands before one function of the TLS library and keeps the arguments of each call."""

    def __init__(self, monkeypatch, name, result, *arguments):
        self.calls = []
        kind = ctypes.CFUNCTYPE(result, *arguments)
        self._real = kind(binding.addresses()[name])
        self._double = kind(self._call)
        found = {**binding.addresses(), name: ctypes.cast(self._double, ctypes.c_void_p).value}
        monkeypatch.setattr("support.rig.addresses", lambda: found)

    def _call(self, *arguments):
        self.calls.append(arguments)
        return self._real(*arguments)


@pytest.fixture
def bios(monkeypatch):
    """The BIOs that each library object was given, in turn: (object, reader, writer), None for none."""
    pointer = ctypes.c_void_p
    return Spy(monkeypatch, "SSL_set_bio", None, pointer, pointer, pointer)


@pytest.fixture
def responses(monkeypatch):
    """The OCSP responses that library objects were given: (object, bytes, how many)."""
    pointer = ctypes.c_void_p
    return Spy(monkeypatch, "SSL_set_tlsext_status_ocsp_resp", ctypes.c_long, pointer, pointer, ctypes.c_int)


def ask(client, text):
    client.send(text)
    assert client.receive_exactly(len(text)) == text


def rested(one, count=1):
    one.wait_for(tls_resting=count)
    assert one.counters()["tls_resting"] == count


def test_a_client_that_was_answered_leaves_no_bio_behind(bios, rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    ask(one.tls_client(version).handshake(), b"hello")
    rested(one)
    assert bios.calls[-1][1:] == (None, None)


def test_a_client_that_says_nothing_leaves_none_either(bios, rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    one.tls_client(version).handshake()
    rested(one)
    assert bios.calls[-1][1:] == (None, None)


@pytest.mark.parametrize("size", [60_000, 3_000_000])
def test_much_that_was_sent_leaves_none_either(bios, rig, backend, material, version, size):
    """The write BIO has grown, or the library has written to the socket itself."""
    server = backend(lambda sock: (sock.sendall(b"d" * size), receive_all(sock)))
    one = rig([server.address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_exactly(size) == b"d" * size
    rested(one)
    assert bios.calls[-1][1:] == (None, None)


def test_a_connection_in_use_keeps_its_bios(bios, rig, backend, material):
    """Making one for every message would cost more than it is worth."""
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client().handshake()
    ask(client, b"first")
    rested(one)
    for number in range(50):
        ask(client, b"%04d" % number)
    # More than one only where the machine has stood still meanwhile.
    assert len({writer for _, _, writer in bios.calls[-50:]}) < 5
    rested(one)


def test_the_client_is_heard_again_and_again(rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client(version).handshake()
    for text in (b"one", b"2" * 20_000, b"three"):
        ask(client, text)
        rested(one)
    client.end_stream()
    assert client.receive() == b""
    client.close()
    one.wait_nothing_held()
    assert one.counters()["closed_clean"] == 1


def test_the_server_may_speak_first_after_a_rest(rig, backend, material, version):
    servers = []
    one = rig([backend(lambda sock: (servers.append(sock), receive_all(sock))).address], material.server_context())
    client = one.tls_client(version).handshake()
    rested(one)
    wait_for(lambda: servers, "the server's side")
    for text in (b"news", b"n" * 700_000, b"more"):
        servers[0].sendall(text)
        assert client.receive_exactly(len(text)) == text
        rested(one)
    servers[0].shutdown(socket.SHUT_WR)
    assert client.receive() == b""
    client.close()
    one.wait_idle()
    assert one.counters()["closed_clean"] == 1


def test_an_upload_may_follow_a_download_and_a_rest(rig, backend, material, version):
    """A download may have left the half in the other mode."""
    size = 3_000_000
    received = []

    def serve(sock):
        sock.sendall(b"d" * size)
        received.append(len(receive_all(sock)))

    one = rig([backend(serve).address], material.server_context())
    client = one.tls_client(version).handshake()
    assert client.receive_exactly(size) == b"d" * size
    rested(one)
    client.send(b"u" * size)
    client.end_stream()
    assert client.receive_all() == b""
    assert received == [size]
    client.close()


def test_new_keys_are_taken_and_answered_at_rest(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = Forger(one.address)
    one.adopt(client.socket)
    client.handshake()
    for number in range(3):
        rested(one)
        client.socket.sendall(client.key_update())
        client.socket.sendall(client.record(b"%04d" % number))
        assert client.receive_exactly(4) == b"%04d" % number
    client.close()


def test_a_part_of_a_record_survives_a_rest(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = Forger(one.address)
    one.adopt(client.socket)
    client.handshake()
    rested(one)
    record = client.record(b"in two parts")
    before = one.counters()["turns"]
    client.socket.sendall(record[:9])
    one.wait_for(turns=before + 1)
    rested(one)
    client.socket.sendall(record[9:])
    assert client.receive_exactly(12) == b"in two parts"
    client.close()


def test_a_client_that_does_not_read_keeps_what_it_is_owed(rig, backend, material, version):
    size = 6_000_000
    one = rig([backend(lambda sock: sock.sendall(b"d" * size)).address], material.server_context())
    client = one.tls_client(version, receive_buffer=4096).handshake()
    wait_for(lambda: held(one.counters()) == 1, "bytes to be held")
    wait_steady(lambda: one.counters()["bytes_down"], "the stream to be stuck")
    # Nothing but its timer wakes the engine now.
    one.wait_for(turns=one.counters()["turns"] + 2)
    assert one.counters()["tls_resting"] == 0
    assert client.receive_exactly(size) == b"d" * size
    assert client.receive() == b""
    client.close()


def test_an_idle_connection_is_told_of_its_end_at_rest(rig, backend, material, version):
    one = rig([backend(echo).address], material.server_context(), idle_ms=900)
    client = one.tls_client(version).handshake()
    rested(one)
    assert client.receive() == b"", "close_notify"
    client.close()
    one.wait_idle()
    assert one.counters()["closed_idle"] == 1


def test_a_reset_at_rest_gives_all_back(rig, backend, material):
    one = rig([backend(echo).address], material.server_context())
    client = one.tls_client().handshake()
    rested(one)
    client.reset()
    one.wait_nothing_held()
    assert one.counters()["tls_resting"] == 0
    assert one.counters()["closed_reset"] == 1


def test_the_response_that_was_stapled_is_given_back(responses, tls_rig, version):
    issuer = Issued.root().intermediate("issuing")
    leaf = issuer.issue("localhost")
    der = issuer.ocsp(leaf)
    one = tls_rig([certificate("c", leaf, Staple(der, int(time.time()) + 3600))])
    client = Asking(one.address, version)
    one.adopt(client.socket)
    assert client.ask() == der
    rested(one)
    assert [each[1:] for each in responses.calls[1:]] == [(None, 0)]
    assert responses.calls[0][2] == len(der)
    ask(client, b"still there")
