"""Certificates by server name: exact before wildcard before default, and a key type the client can use."""

import pytest
from OpenSSL import SSL
from support.certs import Issued
from support.tls_rig import certificate

ECDSA_ONLY = {"ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256", "signatures": "ecdsa_secp256r1_sha256"}
RSA_ONLY = {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256", "signatures": "rsa_pss_rsae_sha256:rsa_pkcs1_sha256"}


@pytest.fixture(scope="module")
def root():
    return Issued.root()


@pytest.fixture(scope="module")
def chosen(root):
    """The default, an exact name under a wildcard, the wildcard, and names of other forms."""
    names = {
        "default": ["default.test"],
        "exact": ["www.example.com"],
        "wildcard": ["*.example.com"],
        "idna": ["xn--bcher-kva.example", "*.xn--bcher-kva.example"],
    }
    return [certificate(name, root.issue(*hosts, common_name=name)) for name, hosts in names.items()]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (b"www.example.com", "exact"),
        (b"WWW.Example.COM", "exact"),
        (b"www.example.com.", "exact"),
        (b"mail.example.com", "wildcard"),
        (b"MAIL.example.com", "wildcard"),
        (b"a.b.example.com", "default"),
        (b"example.com", "default"),
        (b"wwwxexample.com", "default"),
        (b"default.test", "default"),
        (b"xn--bcher-kva.example", "idna"),
        (b"XN--BCHER-KVA.example", "idna"),
        (b"www.xn--bcher-kva.example", "idna"),
        (b"nobody.test", "default"),
        (None, "default"),
    ],
)
def test_the_name_decides(tls_rig, chosen, version, asked, shown):
    client = tls_rig(chosen).tls_client(version, name=asked).handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    assert client.shown() == shown


@pytest.mark.parametrize("asked", [b"nobody.test", None])
def test_strict_sni_refuses_who_asks_for_no_name_of_ours(tls_rig, chosen, version, asked):
    one = tls_rig(chosen, strict_sni=True)
    assert "unrecognized name" in one.tls_client(version, name=asked).refused()
    assert one.tls_client(version, name=b"mail.example.com").handshake().shown() == "wildcard"
    one.wait_for(refused_name=1, handshakes_failed=1)


def test_a_name_with_a_zero_byte_is_refused_and_not_cut_short(tls_rig, chosen, version):
    one = tls_rig(chosen)
    client = one.tls_client(version, name=b"www.example.comXnobody.test")
    with pytest.raises(SSL.WantReadError):
        client.tls.do_handshake()
    client.socket.sendall(client.outgoing().replace(b"comXnobody", b"com\0nobody"))
    with pytest.raises(SSL.Error, match="unrecognized name"):
        client.handshake()
    one.wait_for(handshakes_failed=1)


@pytest.mark.parametrize("asked", [b"www.example.com", None])
@pytest.mark.parametrize(("abilities", "kind"), [(ECDSA_ONLY, 408), (RSA_ONLY, 6)], ids=["ecdsa", "rsa"])
def test_the_clients_abilities_choose_between_rsa_and_ecdsa(tls_rig, root, version, abilities, kind, asked):
    both = [certificate(key, root.issue("www.example.com", key=key)) for key in ("P-256", "RSA")]
    client = tls_rig(both).tls_client(version, name=asked, **abilities).handshake()
    assert client.tls.get_peer_certificate().get_pubkey().type() == kind


def test_a_client_that_can_do_both_gets_ecdsa(tls_rig, root, version):
    both = [certificate(key, root.issue("www.example.com", key=key)) for key in ("RSA", "P-256")]
    client = tls_rig(both).tls_client(version, name=b"www.example.com").handshake()
    assert client.tls.get_peer_certificate().get_pubkey().type() == 408


def test_each_key_type_brings_its_own_chain(tls_rig, root, version):
    issuers = {key: root.intermediate(f"issuer of {key}", key=key) for key in ("P-256", "RSA")}
    both = [certificate(key, issuer.issue("www.example.com", key=key)) for key, issuer in issuers.items()]
    one = tls_rig(both)
    for abilities, key in ((ECDSA_ONLY, "P-256"), (RSA_ONLY, "RSA")):
        client = one.tls_client(version, name=b"www.example.com", **abilities).handshake()
        chain = client.tls.get_peer_cert_chain(as_cryptography=True)
        assert [each.issuer.rfc4514_string() for each in chain] == [f"CN=issuer of {key}", "CN=root"]


def test_a_client_that_can_use_no_certificate_of_the_name_is_refused(tls_rig, root, version):
    one = tls_rig([certificate("only", root.issue("www.example.com"))])
    one.tls_client(version, name=b"www.example.com", **RSA_ONLY).refused()
    one.wait_for(handshakes_failed=1)


def test_of_two_certificates_for_one_name_the_first_listed_is_shown(tls_rig, root, version):
    same = [certificate(name, root.issue("www.example.com", common_name=name)) for name in ("first", "second")]
    default = certificate("default", root.issue("default.test", common_name="default"))
    one = tls_rig([default, *same])
    assert one.tls_client(version, name=b"www.example.com").handshake().shown() == "first"


def test_a_change_of_certificates_reaches_new_handshakes_and_leaves_connections_alone(tls_rig, root, version):
    old, new = (certificate(name, root.issue("localhost", common_name=name)) for name in ("old", "new"))
    one = tls_rig([old])
    before = one.tls_client(version).handshake()
    one.change([new])
    assert one.tls_client(version).handshake().shown() == "new"
    before.send(b"still here")
    assert before.receive_exactly(10) == b"still here"
    assert before.shown() == "old"


def test_a_handshake_under_way_during_a_change_ends_with_what_it_began_with(tls_rig, root, version):
    old, new = (certificate(name, root.issue("localhost", common_name=name)) for name in ("old", "new"))
    one = tls_rig([old])
    slow = one.tls_client(version)
    with pytest.raises(SSL.WantReadError):
        slow.tls.do_handshake()
    hello = slow.outgoing()
    slow.socket.sendall(hello[:100])
    one.wait_for(tls_objects=1)
    one.change([new])
    slow.socket.sendall(hello[100:])
    assert slow.handshake().shown() == "old"
