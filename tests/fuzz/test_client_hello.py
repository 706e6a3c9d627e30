"""Invariant: whatever bytes a client begins with, the engine survives, and everything it lent comes back.

Real ClientHellos of every kind are damaged in the ways that reach deep: bytes changed, lengths that lie, extensions
doubled, cut and swapped, with the outer lengths put right again half of the time.  Each one is sent whole or in
pieces to an engine with names, ALPN, staples and client certificates, so that every callback of the core is met.
The seed is the day, so that a crash can be repeated that took its output with it; FASTNLB_FUZZ_SEED sets another,
FASTNLB_FUZZ_ROUNDS lengthens the run.
"""

import contextlib
import os
import random
import socket
import time

import pytest
from OpenSSL import SSL
from support.certs import Issued
from support.tls_client import TlsClient
from support.tls_rig import certificate

from fastnlb.model import OPTIONAL, CaCertificate, Staple

SEED = int(os.environ.get("FASTNLB_FUZZ_SEED", time.time() // 86400))
ROUNDS = int(os.environ.get("FASTNLB_FUZZ_ROUNDS", "1500"))
AT_ONCE = 50
RECORD_HEADER = 5
HELLO_HEADER = 9  # of the record and the handshake message


@pytest.fixture(scope="module")
def listener():
    root = Issued.root()
    leaf = root.intermediate("issuing").issue("localhost", "*.example.com")
    staple = Staple(b"\x30\x03\x0a\x01\x00", int(time.time()) + 3600)
    certificates = [
        certificate("c", leaf, staple),
        certificate("d", root.issue("d.test", key="RSA")),
    ]
    authority = CaCertificate("staff", Issued.root("staff").pem)
    return certificates, {
        "alpn_policy": "HTTP2Preferred",
        "authority": authority,
        "client_certificate": OPTIONAL,
        "security_policy": "tls_cipher_policy_1_2_strict_with_1_3",
    }


def seeds(one):
    """ClientHellos of clients old and new, with and without each extension, one that resumes among them."""
    hellos = []
    for version in ("TLSv1.0", "TLSv1.2", "TLSv1.3"):
        for name in (b"localhost", b"www.example.com", None):
            for alpn in ([b"h2", b"http/1.1"], []):
                hellos.append(hello_of(TlsClient(one.address, version, name=name, alpn=alpn)))
    for version in ("TLSv1.2", "TLSv1.3"):
        before = one.tls_client(version).handshake()
        before.send(b"x")
        before.receive_exactly(1)
        before.end_stream()
        hellos.append(hello_of(TlsClient(one.address, version, resume=before)))
    return hellos


def hello_of(client):
    client.tls.request_ocsp()
    with contextlib.suppress(SSL.WantReadError):
        client.tls.do_handshake()
    client.close()
    return client.outgoing()


# --- damage ----------------------------------------------------------------------------------------------------


def change_bytes(dice, data):
    for _ in range(dice.randint(1, 8)):
        data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def lie_about_a_length(dice, data):
    at = dice.randrange(HELLO_HEADER, len(data) - 1)
    data[at : at + 2] = dice.choice((0, 1, 2, 0x7FFF, 0xFFFF, dice.randrange(65536))).to_bytes(2, "big")


def cut_out(dice, data):
    begin = dice.randrange(HELLO_HEADER, len(data))
    del data[begin : begin + dice.randint(1, 64)]


def double(dice, data):
    begin = dice.randrange(HELLO_HEADER, len(data))
    part = data[begin : begin + dice.randint(1, 200)]
    at = dice.randrange(HELLO_HEADER, len(data))
    data[at:at] = part


def swap(dice, data):
    size = dice.randint(1, 40)
    one, other = (dice.randrange(HELLO_HEADER, max(HELLO_HEADER + 1, len(data) - size)) for _ in range(2))
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def insert_noise(dice, data):
    at = dice.randrange(len(data))
    data[at:at] = dice.randbytes(dice.choice((1, 3, 100, 5000)))


def cut_short(dice, data):
    del data[dice.randrange(1, len(data)) :]


DAMAGES = (change_bytes, change_bytes, lie_about_a_length, cut_out, double, swap, insert_noise, cut_short)


def damaged(dice, hello):
    data = bytearray(hello)
    for _ in range(dice.randint(1, 3)):
        if len(data) > HELLO_HEADER + 2:
            dice.choice(DAMAGES)(dice, data)
    if dice.random() < 0.5 and HELLO_HEADER < len(data) < 16384:
        data[3:5] = (len(data) - RECORD_HEADER).to_bytes(2, "big")
        data[6:9] = (len(data) - HELLO_HEADER).to_bytes(3, "big")
    return bytes(data)


def pieces(dice, data):
    if dice.random() < 0.7 or len(data) < 2:
        return [data]
    cuts = sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.randint(1, 5))))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# --- the run ---------------------------------------------------------------------------------------------------


def send(dice, one, data):
    client = socket.create_connection(one.address, timeout=20)
    with contextlib.suppress(ConnectionError):
        for piece in pieces(dice, data):
            client.sendall(piece)
    return client


@pytest.mark.timeout(300)
def test_no_client_hello_harms_the_engine(tls_rig, listener):
    dice = random.Random(SEED)  # noqa: S311  repeatable, not secret
    certificates, options = listener
    one = tls_rig(certificates, **options)
    hellos = seeds(one)
    for _ in range(0, ROUNDS, AT_ONCE):
        clients = [send(dice, one, damaged(dice, dice.choice(hellos))) for _ in range(AT_ONCE)]
        for client in clients:
            client.close()
    one.wait_nothing_held()
    numbers = one.counters()
    assert numbers["accepted"] >= ROUNDS
    assert numbers["handshakes_failed"] > ROUNDS // 10, (
        "most were never read as a ClientHello: the damage is too crude"
    )
    client = one.tls_client().handshake()
    client.send(b"still serving")
    assert client.receive_exactly(13) == b"still serving"
