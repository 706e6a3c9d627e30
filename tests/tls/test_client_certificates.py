"""Mutual authentication: who may come in, with which alert the others are sent away, and that no server sees them."""

import datetime

import pytest
from OpenSSL import SSL, crypto
from support.certs import CLIENT, PEM, SERVER, Issued, now
from support.tls_rig import certificate

from fastnlb.model import OPTIONAL, CaCertificate

HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def staff():
    return Issued.root("staff")


@pytest.fixture(scope="module")
def served():
    return [certificate("c", Issued.root().issue("localhost"))]


def authority(*issuers, crls=(), depth=4):
    crl = b"".join(each.public_bytes(PEM) for each in crls)
    return CaCertificate("staff", b"".join(each.pem for each in issuers), crl, depth)


def say_hello(client):
    client.handshake()
    client.send(b"hello")
    return client.receive_exactly(5)


@pytest.mark.parametrize("key", ["P-256", "RSA", "Ed25519"])
def test_a_client_that_can_prove_itself_is_served(tls_rig, served, staff, version, key):
    one = tls_rig(served, authority=authority(staff))
    alice = staff.issue(common_name="alice", usages=[CLIENT], key=key)
    assert say_hello(one.tls_client(version, identity=alice)) == b"hello"
    one.wait_for(client_certificates_verified=1)


@pytest.mark.parametrize("old", ["TLSv1.0", "TLSv1.1"])
@pytest.mark.parametrize("key", ["P-256", "RSA"])
def test_an_old_client_too_where_the_policy_lets_it_in(tls_rig, served, staff, old, key):
    one = tls_rig(served, authority=authority(staff), security_policy="tls_cipher_policy_1_0")
    assert say_hello(one.tls_client(old, identity=staff.issue(common_name="alice", key=key))) == b"hello"
    one.tls_client(old).refused()
    one.wait_for(client_certificates_missing=1)


def test_an_intermediate_may_come_from_the_client(tls_rig, served, staff, version):
    one = tls_rig(served, authority=authority(staff))
    alice = staff.intermediate("department").intermediate("team").issue(common_name="alice")
    assert say_hello(one.tls_client(version, identity=alice)) == b"hello"


def test_an_intermediate_alone_may_be_the_authority(tls_rig, served, staff, version):
    department, other = staff.intermediate("department"), staff.intermediate("other")
    one = tls_rig(served, authority=authority(department))
    assert say_hello(one.tls_client(version, identity=department.issue(common_name="alice"))) == b"hello"
    assert "unknown ca" in one.tls_client(version, identity=other.issue(common_name="mallory")).refused()


def outsiders(staff):
    """name -> (the certificate shown, the alert it earns)."""
    short = staff.issue(common_name="short", key="RSA-1024")
    return {
        "nobody": (None, ("certificate required", "handshake failure")),
        "another authority": (Issued.root("staff").issue(common_name="mallory"), ("unknown ca", "decrypt error")),
        "self-signed": (Issued.root("mallory"), ("unknown ca",)),
        "expired": (
            staff.issue(common_name="old", begin=now() - 9 * HOUR, end=now() - HOUR),
            ("expired",),
        ),
        "not yet valid": (staff.issue(common_name="young", begin=now() + HOUR), ("bad certificate",)),
        "for servers only": (staff.issue(common_name="server", usages=[SERVER]), ("unsupported certificate",)),
        "issued by a leaf": (
            staff.issue(common_name="leaf").issue(common_name="mallory"),
            ("unknown ca", "unsupported certificate"),
        ),
        "a short key": (short, ("bad certificate", "handshake failure", "insufficient security")),
    }


@pytest.mark.parametrize("who", list(outsiders(Issued.root())))
def test_anyone_else_is_denied_in_the_handshake(tls_rig, served, staff, version, who):
    identity, alerts = outsiders(staff)[who]
    one = tls_rig(served, authority=authority(staff))
    alert = one.tls_client(version, identity=identity).refused()
    assert any(each in alert for each in alerts), alert
    one.wait_for(handshakes_failed=1)
    numbers = one.counters()
    assert numbers["connects"] == 0
    assert numbers["client_certificates_missing" if identity is None else "client_certificates_refused"] == 1
    assert numbers["client_certificates_weak"] == (who == "a short key")


@pytest.mark.filterwarnings("ignore:X509.sign is deprecated")
def test_a_certificate_signed_with_sha1_is_denied(tls_rig, served, version):
    staff = Issued.root("staff")
    weak = sha1_leaf(staff)
    one = tls_rig(served, authority=authority(staff))
    one.tls_client(version, identity=weak).refused()
    one.wait_for(client_certificates_weak=1)
    assert one.counters()["connects"] == 0


def sha1_leaf(issuer):
    """Made by hand: cryptography signs nothing with SHA-1 any more."""
    leaf = issuer.issue(common_name="weak")
    made = crypto.X509.from_cryptography(leaf.certificate)
    made.sign(crypto.PKey.from_cryptography_key(issuer.key), "sha1")
    return Issued(made.to_cryptography(), leaf.key)


def test_a_revoked_certificate_is_denied_and_another_is_not(tls_rig, served, staff, version):
    alice, bob = (staff.issue(common_name=name) for name in ("alice", "bob"))
    one = tls_rig(served, authority=authority(staff, crls=[staff.crl(alice)]))
    assert "certificate revoked" in one.tls_client(version, identity=alice).refused()
    assert say_hello(one.tls_client(version, identity=bob)) == b"hello"


def test_with_a_crl_every_authority_on_the_way_needs_its_own(tls_rig, served, staff, version):
    department = staff.intermediate("department")
    alice = department.issue(common_name="alice")
    one = tls_rig(served, authority=authority(staff, crls=[staff.crl()]))
    assert "unknown ca" in one.tls_client(version, identity=alice).refused()
    one.change(authority=authority(staff, crls=[staff.crl(), department.crl()]))
    assert say_hello(one.tls_client(version, identity=alice)) == b"hello"
    one.change(authority=authority(staff, crls=[staff.crl(department), department.crl()]))
    assert "certificate revoked" in one.tls_client(version, identity=alice).refused()


def test_a_crl_that_is_out_of_date_lets_nobody_in(tls_rig, served, staff, version):
    stale = staff.crl(begin=now() - 9 * HOUR, end=now() - HOUR)
    one = tls_rig(served, authority=authority(staff, crls=[stale]))
    assert "certificate expired" in one.tls_client(version, identity=staff.issue(common_name="alice")).refused()


@pytest.mark.parametrize(("depth", "welcome"), [(0, False), (1, False), (2, True)])
def test_the_depth_limits_the_intermediates(tls_rig, served, staff, version, depth, welcome):
    alice = staff.intermediate("department").intermediate("team").issue(common_name="alice")
    one = tls_rig(served, authority=authority(staff, depth=depth))
    client = one.tls_client(version, identity=alice)
    if welcome:
        assert say_hello(client) == b"hello"
    else:
        client.refused()


def test_the_names_of_the_authorities_are_sent(tls_rig, served, staff, version):
    one = tls_rig(served, authority=authority(staff, Issued.root("partners")))
    client = one.tls_client(version, identity=staff.issue(common_name="alice")).handshake()
    assert [name.CN for name in client.tls.get_client_ca_list()] == ["staff", "partners"]


def test_optional_lets_in_who_shows_nothing_but_nobody_who_shows_a_wrong_one(tls_rig, served, staff, version):
    one = tls_rig(served, authority=authority(staff), client_certificate=OPTIONAL)
    assert say_hello(one.tls_client(version)) == b"hello"
    assert say_hello(one.tls_client(version, identity=staff.issue(common_name="alice"))) == b"hello"
    assert "unknown ca" in one.tls_client(version, identity=Issued.root("m").issue(common_name="mallory")).refused()
    one.wait_for(client_certificates_verified=1, client_certificates_refused=1)


def test_it_is_switched_on_and_off_in_place(tls_rig, served, staff, version):
    one = tls_rig(served)
    assert say_hello(one.tls_client(version)) == b"hello"
    one.change(authority=authority(staff))
    one.tls_client(version).refused()
    one.change(authority=None)
    assert say_hello(one.tls_client(version)) == b"hello"


def test_asking_clients_does_not_change_what_they_are_shown(tls_rig, staff, version):
    """The authorities of clients are not looked through for the rest of our own chain."""
    department = staff.intermediate("department")
    leaf = department.issue("localhost")
    alone = certificate("c", Issued(leaf.certificate, leaf.key))
    one = tls_rig([alone], authority=authority(department))
    client = one.tls_client(version, identity=staff.issue(common_name="alice"))
    client.refused()
    assert len(client.tls.get_peer_cert_chain()) == 1


def test_who_connected_before_it_was_switched_off_is_still_asked(tls_rig, served, staff, version):
    """Also when the ticket keys that the connection began with belong to settings without it by now."""
    one = tls_rig(served, authority=authority(staff), pool=1)
    silent = one.tls_client(version)
    one.wait_for(connections=1)
    one.change(authority=None)
    one.change(security_policy="tls_cipher_policy_1_2")
    silent.refused()
    assert one.counters()["connects"] == 0


def test_the_authorities_are_asked_of_every_name(tls_rig, staff, version):
    root = Issued.root()
    certificates = [certificate(name, root.issue(name)) for name in ("localhost", "www.example.com")]
    one = tls_rig(certificates, authority=authority(staff))
    for name in (b"localhost", b"www.example.com", b"nobody.test", None):
        one.tls_client(version, name=name).refused()
    assert one.counters()["connects"] == 0


def test_a_client_that_never_shows_its_certificate_is_timed_out(rig, backend, version, tls_rig, served, staff):
    one = tls_rig(served, authority=authority(staff))
    client = one.tls_client(version, identity=staff.issue(common_name="alice"))
    with pytest.raises(SSL.WantReadError):
        client.tls.do_handshake()
    client.flush()
    client.feed()
    client.close()
    one.wait_for(handshakes_aborted=1)
    assert one.counters()["connects"] == 0
