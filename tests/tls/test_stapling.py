"""OCSP stapling: the response of the certificate that is shown, while it is valid, and never a fault."""

import time

import pytest
from support.certs import Issued
from support.ocsp_client import Asking
from support.tls_rig import certificate

from fastnlb.model import Staple


@pytest.fixture(scope="module")
def issuer():
    return Issued.root().intermediate("issuing")


@pytest.fixture(scope="module")
def leaf(issuer):
    return issuer.issue("localhost")


def ask(one, version, **wishes):
    client = Asking(one.address, version, **wishes)
    one.adopt(client.socket)
    return client.ask()


def valid(der):
    return Staple(der, int(time.time()) + 3600)


def test_the_response_is_sent_to_who_asks(tls_rig, issuer, leaf, version):
    der = issuer.ocsp(leaf)
    one = tls_rig([certificate("c", leaf, valid(der))])
    assert ask(one, version) == der
    one.tls_client(version).handshake()
    one.wait_for(handshakes=2, staples_sent=1)
    assert one.counters()["staples_sent"] == 1


def test_without_a_response_the_handshake_goes_on(tls_rig, leaf, version):
    assert ask(tls_rig([certificate("c", leaf)]), version) == b""


def test_a_response_that_is_out_of_date_is_kept_back(tls_rig, issuer, leaf, version):
    stale = Staple(issuer.ocsp(leaf), int(time.time()) - 1)
    one = tls_rig([certificate("c", leaf, stale)])
    assert ask(one, version) == b""
    one.wait_for(staples_expired=1)


def test_what_is_no_response_at_all_breaks_nothing(tls_rig, leaf, version):
    one = tls_rig([certificate("c", leaf, valid(b"\x00rubbish"))])
    client = Asking(one.address, version)
    one.adopt(client.socket)
    client.ask()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"


def test_each_certificate_has_its_own(tls_rig, issuer, version):
    leaves = {key: issuer.issue("localhost", key=key) for key in ("P-256", "RSA")}
    other = issuer.issue("other.test")
    ders = {key: issuer.ocsp(each) for key, each in leaves.items()}
    one = tls_rig(
        [
            *(certificate(key, each, valid(ders[key])) for key, each in leaves.items()),
            certificate("other", other, valid(issuer.ocsp(other))),
        ]
    )
    rsa = {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256", "signatures": "rsa_pss_rsae_sha256"}
    assert ask(one, version) == ders["P-256"]
    assert ask(one, version, **rsa) == ders["RSA"]
    assert ask(one, version, name=b"other.test") not in (b"", *ders.values())


def inner_contexts(one):
    return {id(inner) for made in one._contexts._inner.values() for inner in made.values()}


def test_a_new_response_is_sent_at_once_and_keeps_the_context(tls_rig, issuer, leaf, version):
    one = tls_rig([certificate("c", leaf, valid(issuer.ocsp(leaf)))])
    kept = inner_contexts(one)
    fresh = issuer.ocsp(leaf, begin=None)
    one.change([certificate("c", leaf, valid(fresh))])
    assert ask(one, version) == fresh
    one.change([certificate("c", leaf)])
    assert ask(one, version) == b""
    assert inner_contexts(one) == kept


def test_a_resumed_session_needs_none(tls_rig, issuer, leaf, version):
    one = tls_rig([certificate("c", leaf, valid(issuer.ocsp(leaf)))])
    first = one.tls_client(version).handshake()
    first.send(b"x")
    first.receive_exactly(1)
    first.end_stream()
    second = one.tls_client(version, resume=first)
    second.tls.request_ocsp()
    second.handshake()
    one.wait_for(handshakes_resumed=1)
    assert one.counters()["staples_sent"] == 0
